"""From an encoded sequence to what the recurrent layers see, inside the graph.

Normalisation and calendar live here so that training and serving cannot disagree:
both hand over the same columns, and the SavedModel carries the constants.
Knows nothing of how events are written by clients (`service.events`, `models.export`).

An input schema is one of

    {"kind": "event", "vocabulary": ["bear", "fox", ...]}
    {"kind": "record", "fields": [{"name": "time", "type": "time"},
                                  {"name": "value", "type": "number",
                                   "mean": 15000.0, "std": 7000.0}]}

An event is an index into the vocabulary: sequences are int32 of shape
(batch, timesteps). A record takes one column per number and two per time (days since
1970-01-01 and seconds of the day, both exact in float32): sequences are float32 of
shape (batch, timesteps, columns).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import ops

Schema = Mapping[str, Any]
Tensor = Any

COLUMNS = {"time": 2, "number": 1}
SECONDS_PER_DAY = 86_400.0
# Three harmonics draw a day with a morning and an evening peak; more fit noise.
DAY_HARMONICS = (1, 2, 3)
# 1970-01-01 was a Thursday: day 0 has weekday 3 when Monday is 0.
WEEKDAY_OF_DAY_ZERO = 3


def sequence_input(inputs: Schema) -> Tensor:
    """Build the Keras input named `sequence` that an input schema asks for."""
    if inputs["kind"] == "event":
        return keras.Input((None,), dtype="int32", name="sequence")
    return keras.Input((None, num_columns(inputs)), dtype="float32", name="sequence")


def num_columns(inputs: Schema) -> int:
    """Count the columns a record takes in an encoded sequence."""
    return sum(COLUMNS[field["type"]] for field in inputs["fields"])


def encode_sequence(sequence: Tensor, inputs: Schema) -> Tensor:
    """Turn an encoded sequence into features.

    Args:
        sequence: int32 of shape (batch, timesteps), or float32 of shape
            (batch, timesteps, columns).
        inputs: The input schema.

    Returns:
        float32 of shape (batch, timesteps, features): the one-hot event, or normalised
        numbers, harmonics of the time of day and the one-hot weekday.
    """
    if inputs["kind"] == "event":
        return ops.one_hot(sequence, len(inputs["vocabulary"]))
    features: list[Tensor] = []
    for field, columns in split_fields(sequence, inputs["fields"]):
        if field["type"] == "time":
            features += calendar(*columns)
        else:
            features.append(normalise(columns[0], field))
    return ops.concatenate(features, axis=-1)


def split_fields(
    sequence: Tensor, fields: Sequence[Schema]
) -> Iterator[tuple[Schema, list[Tensor]]]:
    """Yield each field with its columns, each of shape (batch, timesteps, 1)."""
    start = 0
    for field in fields:
        stop = start + COLUMNS[field["type"]]
        yield field, [sequence[..., k : k + 1] for k in range(start, stop)]
        start = stop


def calendar(day: Tensor, second: Tensor) -> list[Tensor]:
    """Derive time of day (harmonics) and day of week (one-hot, Monday first).

    Args:
        day: Days since 1970-01-01, float32 of shape (batch, timesteps, 1).
        second: Seconds of the day, 0 to 86,399, of the same shape.

    Returns:
        Features, each of shape (batch, timesteps, 1) or (batch, timesteps, 7).
    """
    angle = second * (2 * math.pi / SECONDS_PER_DAY)
    weekday = ops.cast(ops.mod(day[..., 0] + WEEKDAY_OF_DAY_ZERO, 7.0), "int32")
    features = [wave(angle * k) for k in DAY_HARMONICS for wave in (ops.sin, ops.cos)]
    return [*features, ops.one_hot(weekday, 7)]


def normalise(value: Tensor, field: Schema) -> Tensor:
    """Scale a number to mean 0 and standard deviation 1 of the training data."""
    return (value - field["mean"]) / field["std"]


def denormalise(value: Tensor, field: Schema) -> Tensor:
    """Undo `normalise`: back to the unit of the field."""
    return value * field["std"] + field["mean"]
