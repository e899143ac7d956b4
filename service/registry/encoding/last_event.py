"""A session's last event, from the network's form back to the client's.

The other way round is `service.registry.encoding.events`. Knows input schemas; neither
rows nor HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np

from service.registry.encoding.events import Encoder, count_columns
from service.registry.encoding.fields import LAST_SECOND

EPOCH = date(1970, 1, 1)
# A second of the day is a float32: finer than this it is not.
TIME_DIGITS = 2


def show_event(event: bytes, encoder: Encoder, schema: Mapping[str, Any]) -> Any:
    """Return an event as a client would have sent it; None where none is known.

    Args:
        event: The event's columns, little-endian.
        encoder: Of the model.
        schema: The model's input.
    """
    columns = np.frombuffer(event, np.dtype(encoder.dtype).newbyteorder("<"))
    if columns.shape != (int(np.prod(encoder.columns)),):
        return None
    if schema["kind"] == "event":
        return schema["vocabulary"][int(columns[0])]
    if schema["kind"] == "index":
        return int(columns[0])
    if schema["kind"] == "vector":
        return columns.tolist()
    return _show_record(columns, schema["fields"])


def _show_record(columns: np.ndarray, fields: list[dict[str, Any]]) -> dict[str, Any]:
    record, start = {}, 0
    for field in fields:
        stop = start + count_columns(field)
        may_be_left_out = field.get("static") or field.get("optional")
        if not may_be_left_out or not np.isnan(columns[start]):
            record[field["name"]] = _show_field(columns[start:stop], field)
        start = stop
    return record


def _show_field(columns: np.ndarray, field: dict[str, Any]) -> Any:
    if field["type"] == "time":
        return _show_time(*columns.tolist())
    if field["type"] == "category":
        return field["vocabulary"][int(columns[0])]
    if field["type"] == "index":
        return int(columns[0])
    return columns.tolist() if field["type"] == "vector" else float(columns[0])


def _show_time(days: float, seconds: float) -> str:
    # Sessions of earlier releases may have 86,400: the last second, rounded up.
    whole, part = divmod(round(min(seconds, LAST_SECOND), TIME_DIGITS), 1)
    minutes, second = divmod(int(whole), 60)
    hour, minute = divmod(minutes, 60)
    fraction = f"{part:.{TIME_DIGITS}f}"[1:] if part else ""
    day = EPOCH + timedelta(days=int(days))
    return f"{day.isoformat()}T{hour:02d}:{minute:02d}:{second:02d}{fraction}"
