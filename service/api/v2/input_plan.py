"""Inputs of a model in the v2 dialect, prepared once, and their values checked by row.

The same values give the same columns as the encoder of the model makes of JSON rows; a
test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.api.v2.schema import BYTES, Column, Wanted, field_schemas, list_outputs
from service.errors import InvalidEvent, NonFiniteInput, UnknownEvent
from service.registry.catalog import Model
from service.registry.encoding.events import EventEncoder, RecordEncoder
from service.registry.encoding.fields import (
    FLOAT32_BOUND,
    CategoryReader,
    read_time,
    suggest,
)

PLAN = "v2.plan"  # in a model's `prepared`

Field = dict[str, Any]
# Names to their indices, of a field that has any.
Index = Mapping[str, int]


class InputPlan(NamedTuple):
    """Precomputed checks of the requests to a model.

    Attributes:
        fields: The schema of each input tensor.
        names: Their names.
        required: The same, as a set.
        statics: Those that only the first event of a sequence needs.
        sizes: Their shapes after batch and timesteps.
        indices: Of each, its names to their indices; empty where it has none.
        outputs: The names of the outputs.
        wanted: All outputs, as JSON and as binary tensors.
        main: The name of the output that `decided` is made of.
        threshold: Which probabilities are decided.
    """

    fields: Sequence[Field]
    names: Sequence[str]
    required: frozenset[str]
    statics: frozenset[str]
    sizes: Sequence[tuple[int, ...]]
    indices: Sequence[Index]
    outputs: Sequence[str]
    wanted: tuple[Sequence[Wanted], Sequence[Wanted]]
    main: str
    threshold: np.float32


def prepare_plan(model: Model) -> InputPlan:
    """Work out what does not change from request to request, once a model."""
    manifest = model.manifest
    fields = field_schemas(manifest)
    names = [field["name"] for field in fields]
    outputs = [tensor.name for tensor in list_outputs(manifest)]
    plan = model.prepared[PLAN] = InputPlan(
        fields=fields,
        names=names,
        required=frozenset(names),
        statics=frozenset(model.encoder.statics),
        sizes=[(f["size"],) if f["type"] == "vector" else () for f in fields],
        indices=[index_of(field, model) for field in fields],
        outputs=outputs,
        wanted=(
            [Wanted(name, is_binary=False) for name in outputs],
            [Wanted(name, is_binary=True) for name in outputs],
        ),
        main=manifest.output["name"],
        # Rounded as the probabilities are: one of 0.9 reaches 0.9.
        threshold=np.float32(manifest.threshold or 0),
    )
    return plan


def index_of(field: Field, model: Model) -> Index:
    """Return the index of a field's names; empty where it has none."""
    encoder = model.encoder
    if isinstance(encoder, EventEncoder):
        return encoder.index
    if isinstance(encoder, RecordEncoder):
        reader = encoder.readers[field["name"]]
        if isinstance(reader, CategoryReader):
            return reader.index
    return {}


def read_field(column: Column, field: Field, own: slice, index: Index) -> np.ndarray:
    """Read one field of one row: (timesteps,) or (timesteps, columns).

    Raises:
        InvalidEvent: The datatype is not one that the field takes, or a time cannot be
            read.
        UnknownEvent: A name or an index is not in the vocabulary.
        NonFiniteInput: A number is not finite in 32 bits.
    """
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
    """Look names up in a vocabulary: their indices.

    Raises:
        UnknownEvent: A name is not in the vocabulary.
    """
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
    """Refuse what is no whole number from 0 to size - 1.

    Raises:
        InvalidEvent: The datatype is not one of whole numbers.
        UnknownEvent: A number is outside 0 to size - 1.
    """
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
    """Refuse numbers that are not finite in 32 bits.

    Raises:
        NonFiniteInput: One is NaN, infinite or too large.
    """
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
    """Refuse numbers that are not indices, where a size says that they are some.

    Raises:
        UnknownEvent: One is not a whole number from 0 to size - 1.
    """
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
