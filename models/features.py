"""From an encoded sequence to what the recurrent layers see, inside the graph.

Normalisation and calendar live here so that training and serving cannot disagree:
both hand over the same columns, and the SavedModel carries the constants. Schemas and
columns are those of `models.schemas`.
Knows nothing of how events are written by clients (`service.registry.encoding.events`,
`models.export`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
from keras import ops

from models.clock import SECONDS_PER_DAY, TimeSincePrevious
from models.gates import Tensor
from models.schemas import COLUMNS, DEFAULT_TIME_FEATURES, num_columns
from models.schemas import Schema as Schema

# Three harmonics draw a day with a morning and an evening peak; more fit noise.
DAY_HARMONICS = (1, 2, 3)
# The largest float32. Programs have the comparison with it, and NaN fails it.
MAX_FLOAT32 = 3.4028234663852886e38
# 1970-01-01 was a Thursday: day 0 has weekday 3 when Monday is 0.
WEEKDAY_OF_DAY_ZERO = 3


def sequence_input(inputs: Schema) -> Tensor:
    """Build the Keras input named `sequence` that an input schema asks for."""
    if inputs["kind"] == "event":
        return keras.Input((None,), dtype="int32", name="sequence")
    return keras.Input((None, num_columns(inputs)), dtype="float32", name="sequence")


def encode_sequence(
    sequence: Tensor, inputs: Schema, embedding: int | None = None
) -> Tensor:
    """Turn an encoded sequence into features.

    Args:
        sequence: int32 of shape (batch, timesteps), or float32 of shape
            (batch, timesteps, columns).
        inputs: The input schema.
        embedding: Size of the learnt vector of each name; None for one-hot.

    Returns:
        float32 of shape (batch, timesteps, features): the event, or the features of
        each field side by side, in the schema's order.
    """
    if inputs["kind"] == "event":
        return encode_names(sequence, inputs["vocabulary"], embedding)
    features: list[Tensor] = []
    for field, columns in split_fields(sequence, inputs["fields"]):
        features += encode_field(field, columns, embedding)
    return ops.concatenate(features, axis=-1)


def split_fields(
    sequence: Tensor, fields: Sequence[Schema]
) -> Iterator[tuple[Schema, Tensor]]:
    """Yield each field with its columns, of shape (batch, timesteps, columns)."""
    start = 0
    for field in fields:
        stop = start + COLUMNS[field["type"]]
        yield field, sequence[..., start:stop]
        start = stop


def encode_field(field: Schema, columns: Tensor, embedding: int | None) -> list[Tensor]:
    """Turn one field's columns into features, each (batch, timesteps, features)."""
    if field["type"] == "number":
        return encode_number(field, columns)
    if field["type"] == "category":
        index = ops.cast(columns[..., 0], "int32")
        return [encode_names(index, field["vocabulary"], embedding)]
    names = field.get("features", DEFAULT_TIME_FEATURES)
    return [ENCODE_TIME[name](columns) for name in names]


def encode_number(field: Schema, columns: Tensor) -> list[Tensor]:
    """Scale a number; where one may be missing, also say whether it is there."""
    if not field.get("optional"):
        return [normalise(columns, field)]
    is_there = ops.abs(columns) <= MAX_FLOAT32  # NaN is not
    scaled = ops.where(is_there, normalise(columns, field), 0.0)
    return [scaled, ops.cast(is_there, scaled.dtype)]


def encode_names(
    index: Tensor, vocabulary: Sequence[str], embedding: int | None
) -> Tensor:
    """Turn indices into a vocabulary into one-hot or learnt vectors.

    Args:
        index: int32 of shape (batch, timesteps).
        vocabulary: The names.
        embedding: Size of a learnt vector; None for one-hot.

    Returns:
        float32 of shape (batch, timesteps, names or embedding).

    Reference: Bengio et al., A Neural Probabilistic Language Model, JMLR 3, 2003
    (learnt vectors of words).
    """
    if embedding is None:
        return ops.one_hot(index, len(vocabulary))
    return keras.layers.Embedding(len(vocabulary), embedding)(index)


def time_of_day(columns: Tensor) -> Tensor:
    """Derive harmonics of the time of day: sin and cos of each.

    Args:
        columns: Days since 1970-01-01 and seconds of the day (0 up to 86,400),
            float32 of shape (batch, timesteps, 2).

    Returns:
        float32 of shape (batch, timesteps, 2 * harmonics), -1 to 1.
    """
    angle = columns[..., 1:] * (2 * math.pi / SECONDS_PER_DAY)
    waves = [wave(angle * k) for k in DAY_HARMONICS for wave in (ops.sin, ops.cos)]
    return ops.concatenate(waves, axis=-1)


def day_of_week(columns: Tensor) -> Tensor:
    """Derive the one-hot weekday, Monday first: float32 (batch, timesteps, 7)."""
    weekday = ops.mod(columns[..., 0] + WEEKDAY_OF_DAY_ZERO, 7.0)
    return ops.one_hot(ops.cast(weekday, "int32"), 7)


def time_since_previous(columns: Tensor) -> Tensor:
    """Derive ln(1 + seconds since the event before): (batch, timesteps, 1)."""
    return TimeSincePrevious()(columns)


# What `models.schemas.TIME_FEATURES` names.
ENCODE_TIME: Mapping[str, Callable[[Tensor], Tensor]] = {
    "time_of_day": time_of_day,
    "day_of_week": day_of_week,
    "time_since_previous": time_since_previous,
}


def normalise(value: Tensor, field: Schema) -> Tensor:
    """Scale a number to mean 0 and standard deviation 1 of the training data."""
    return (value - field["mean"]) / field["std"]


def denormalise(value: Tensor, field: Schema) -> Tensor:
    """Undo `normalise`: back to the unit of the field."""
    return value * field["std"] + field["mean"]
