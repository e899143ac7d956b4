"""Random sequences of any input schema, to compare networks on."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.schemas import Schema, count_columns, num_columns

# Share of the numbers that are missing, where they may be.
MISSING_SHARE = 0.2


def random_sequence(
    inputs: Schema, batch: int, length: int, rng: np.random.Generator
) -> Any:
    """Draw encoded sequences of the right form: events, or columns a day would have.

    Returns:
        int32 of shape (batch, length), or float32 of shape (batch, length, columns).
    """
    if inputs["kind"] in ("event", "index"):
        size = inputs.get("size") or len(inputs["vocabulary"])
        return rng.integers(0, size, (batch, length)).astype("int32")
    columns = rng.normal(size=(batch, length, num_columns(inputs)))
    if "indices" in inputs:
        columns[...] = rng.integers(0, inputs["indices"], columns.shape)
    start = 0
    for field in inputs.get("fields", ()):
        stop = start + count_columns(field)
        fill_field(columns[..., start:stop], field, rng)
        if field.get("static"):
            columns[..., start:stop] = columns[:, :1, start:stop]
        start = stop
    return columns.astype("float32")


def fill_field(columns: Any, field: Schema, rng: np.random.Generator) -> None:
    """Turn normal numbers into what a field holds, in place."""
    shape = columns.shape[:2]
    if field["type"] == "number":
        columns[...] = columns * field["std"] + field["mean"]
        if field.get("optional"):
            columns[rng.random(columns.shape) < MISSING_SHARE] = np.nan
    elif "indices" in field:
        columns[...] = rng.integers(0, field["indices"], columns.shape)
    elif field["type"] in ("category", "index"):
        size = field.get("size") or len(field["vocabulary"])
        columns[..., 0] = rng.integers(0, size, shape)
    elif field["type"] == "time":
        columns[..., 0] = 16_000 + np.arange(shape[1])
        columns[..., 1] = rng.integers(0, 86_400, shape)
