"""The v2 dialect's values: one field of one row, checked, as columns of a sequence.

The same values give the same columns as the model's encoder makes of JSON rows; a
test holds the two equal. Knows no shapes and no JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.api.v2.input_plan import Field, Index
from service.api.v2.schema import Column
from service.api.v2.tensor_schema import BYTES
from service.errors import InvalidEvent, NonFiniteInput, UnknownEvent
from service.registry.encoding.fields import FLOAT32_BOUND, read_time, suggest


def read_field(column: Column, field: Field, own: slice, index: Index) -> np.ndarray:
    """Read one field of one row: (timesteps,) or (timesteps, columns)."""
    kind = field["type"]
    if isinstance(column.values, list):
        texts = column.values[own]
        if kind == "time":
            return read_times(column.name, texts)
        if kind in ("event", "category"):
            return look_up(column.name, texts, index)
    elif kind in ("event", "category"):
        return check_indices(column, column.values[own], len(index))
    elif kind == "index":
        return check_indices(column, column.values[own], field["size"])
    elif kind == "number":
        return check_numbers(column.name, column.values[own])
    elif kind == "vector":
        rows = column.values.reshape(-1, field["size"])
        numbers = check_numbers(column.name, rows[own])
        return check_whole(column.name, numbers, field.get("indices", 0))
    raise InvalidEvent(
        f"input {column.name!r} is {column.datatype}; this model takes "
        f"{'numbers' if column.datatype == BYTES else BYTES} there."
    )


def read_times(name: str, texts: Sequence[str]) -> np.ndarray:
    """Read wall-clock times: days since 1970-01-01 and seconds of the day."""
    return np.array(
        [read_time(text, f"{name}[{t}]", t) for t, text in enumerate(texts)]
    )


def look_up(name: str, texts: Sequence[str], index: Index) -> np.ndarray:
    """Look names up in a vocabulary: their indices."""
    try:
        return np.array([index[text] for text in texts])
    except KeyError:
        position = next(t for t, text in enumerate(texts) if text not in index)
    raise UnknownEvent(
        f"{name}[{position}] is {texts[position][:80]!r}, which this model does not "
        f"know. {suggest(texts[position], index)}",
        position=position,
    )


def check_indices(column: Column, values: np.ndarray, size: int) -> np.ndarray:
    """Refuse what is no whole number from 0 to size - 1."""
    if values.dtype.kind not in "iu":
        raise InvalidEvent(
            f"input {column.name!r} is {column.datatype}; this model takes whole "
            f"numbers there, 0 to {size - 1}. Send INT32."
        )
    wrong = (values < 0) | (values >= size)
    if np.logical_or.reduce(wrong):
        position = int(wrong.argmax())
        raise UnknownEvent(
            f"{column.name}[{position}] is {values[position]}; this model takes whole "
            f"numbers, 0 to {size - 1}, there.",
            position=position,
        )
    return values


def check_numbers(name: str, values: np.ndarray) -> np.ndarray:
    """Refuse numbers that are not finite in 32 bits."""
    wide = values.astype(np.float64)
    fits = np.abs(wide) < FLOAT32_BOUND  # false for NaN as well
    if not fits.all():
        position = int((~fits).reshape(len(fits), -1).any(axis=1).argmax())
        raise NonFiniteInput(
            f"{name}[{position}] holds {wide[~fits][0]}; expected finite numbers that "
            "fit a 32-bit float.",
            position=position,
        )
    return wide


def check_whole(name: str, rows: np.ndarray, size: int) -> np.ndarray:
    """Refuse numbers that are not indices, where a size says that they are some."""
    if not size:
        return rows
    wrong = (rows < 0) | (rows >= size) | (rows != np.floor(rows))
    if wrong.any():
        position = int(wrong.reshape(len(rows), -1).any(axis=1).argmax())
        raise UnknownEvent(
            f"{name}[{position}] holds {rows[wrong][0]:g}; this model takes whole "
            f"numbers, 0 to {size - 1}, there.",
            position=position,
        )
    return rows
