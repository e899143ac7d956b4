"""Events of a row as columns of a training file: names as names, numbers as numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from service.registry.catalog import Model
from service.registry.encoding.events import count_columns

EVENT_COLUMN = "captured.event_column"  # in a model's `prepared`
EPOCH = datetime(1970, 1, 1)
NUMBERED = re.compile(r"_\d+$")


def name_fields(model: Model, event: Any) -> dict[str, Any]:
    """Return the columns of an event, named as the model's training data named them."""
    if isinstance(event, dict):
        return event
    name = find_event_column(model)
    if isinstance(event, list):
        return {f"{name}_{k}": value for k, value in enumerate(event)}
    return {name: event}


def leave_out(fields: dict[str, Any], redacted: Collection[str]) -> dict[str, Any]:
    """Return the columns that are not redacted.

    Args:
        fields: Columns of an event.
        redacted: Names in lower case; `x` stands for the columns x_0, x_1, ... too.
    """
    return {
        name: value
        for name, value in fields.items()
        if not {lower := name.casefold(), NUMBERED.sub("", lower)} & set(redacted)
    }


def has_field(model: Model, name: str) -> bool:
    """Return whether a model's captured events can have a column of a name."""
    schema = model.manifest.input
    if schema["kind"] == "record":
        return name.casefold() in {
            field["name"].casefold() for field in schema["fields"]
        }
    column = find_event_column(model).casefold()
    return column in (name.casefold(), NUMBERED.sub("", name.casefold()))


def find_event_column(model: Model) -> str:
    """Find the column of event names that a model was trained on."""
    name = model.prepared.get(EVENT_COLUMN)
    if name is None:
        config = model.manifest.training.get("config")
        data = config.get("data") if isinstance(config, dict) else None
        given = data.get("event") if isinstance(data, dict) else None
        name = given if isinstance(given, str) and given else "event"
        model.prepared[EVENT_COLUMN] = name
    return str(name)


def decode_events(model: Model, sequence: np.ndarray) -> Sequence[Any]:
    """Return events that came as numbers as a client would have written them."""
    schema = model.manifest.input
    if schema["kind"] == "event":
        names = schema["vocabulary"]
        return [names[k] for k in sequence.tolist()]
    if schema["kind"] == "record":
        return [decode_record(schema["fields"], event) for event in sequence.tolist()]
    events: list[Any] = sequence.tolist()
    return events


def decode_record(
    fields: Sequence[dict[str, Any]], columns: Sequence[float]
) -> dict[str, Any]:
    """Return a record by the names of its fields; without those that are missing."""
    record, start = {}, 0
    for field in fields:
        stop = start + count_columns(field)
        own, start = columns[start:stop], stop
        if not any(np.isnan(own)):
            record[field["name"]] = DECODERS.get(field["type"], decode_list)(field, own)
    return record


def decode_category(field: dict[str, Any], columns: Sequence[float]) -> str:
    """Return a name."""
    return str(field["vocabulary"][int(columns[0])])


def decode_time(_: dict[str, Any], columns: Sequence[float]) -> str:
    """Return a wall-clock time."""
    days, seconds = columns
    return (EPOCH + timedelta(days=days, seconds=round(seconds, 2))).isoformat()


def decode_list(_: dict[str, Any], columns: Sequence[float]) -> Any:
    """Return numbers: a single one without a list."""
    return columns[0] if len(columns) == 1 else list(columns)


DECODERS: dict[str, Callable[[dict[str, Any], Sequence[float]], Any]] = {
    "category": decode_category,
    "time": decode_time,
}
