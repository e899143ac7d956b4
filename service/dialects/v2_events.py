"""The v2 dialect's events: input tensors to the sequences of a model's rows.

Knows shapes and names; no JSON and no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np

from service.catalog import Model
from service.dialects.v2_forms import Column
from service.dialects.v2_plan import Plan, plan_of
from service.dialects.v2_schema import LENGTH, LENGTH_DATATYPES
from service.dialects.v2_values import read_field
from service.errors import (
    EmptySequence,
    InvalidRequest,
    SequenceTooLong,
    TooManyRows,
)
from service.events import Encoder
from service.loop import take_break


def encode_rows(
    columns: Mapping[str, Column], model: Model, *, max_rows: int
) -> list[np.ndarray]:
    """Encode the rows of a request.

    Args:
        columns: The input tensors by name, of shape (batch, timesteps[, size]); with
            `length` the rows may be shorter than the tensors.
        model: Whose events they hold.
        max_rows: Most rows accepted.

    Returns:
        Of each row the sequence, (timesteps,) or (timesteps, columns).

    Raises:
        InvalidRequest: The tensors are not the model's, or hold other events.
    """
    plan = plan_of(model)
    if columns.keys() != plan.required:
        check_names(columns, plan.names, model.manifest.name)
    batch, timesteps = check_shapes(columns, plan)
    if batch > max_rows:
        raise TooManyRows(
            f"the inputs have {batch} rows; at most {max_rows} are accepted in one "
            "request. Send the rest in another.",
            max_rows=max_rows,
        )
    lengths = read_lengths(columns.get(LENGTH), batch, timesteps)
    check_lengths(lengths, model.encoder.max_events)
    if batch == 1:
        return [encode_row(columns, plan, slice(0, lengths[0]), model.encoder)]
    starts = range(0, batch * timesteps, timesteps)
    sequences = []
    for k, n in zip(starts, lengths, strict=True):
        sequences.append(encode_row(columns, plan, slice(k, k + n), model.encoder))
        take_break()
    return sequences


def check_names(
    columns: Mapping[str, Column], names: Sequence[str], model: str
) -> None:
    """Refuse inputs the model does not take, and the lack of those it does."""
    unknown = [name for name in columns if name not in names and name != LENGTH]
    missing = [name for name in names if name not in columns]
    if unknown:
        name = unknown[0][:80]
        raise InvalidRequest(
            f"input {name!r} is none of model {model!r}; its inputs are "
            f"{', '.join(names)}, and {LENGTH} where rows are padded.",
            error=f"unexpected inference input '{name}' for model '{model}'",
        )
    if missing:
        raise InvalidRequest(
            f"the request has {len(columns)} inputs and lacks {', '.join(missing)}; "
            f"model {model!r} takes {', '.join(names)}. Send each.",
            error=f"expected {len(names)} inputs but got {len(columns)} inputs for "
            f"model '{model}'. Got input(s) {list(columns)!r}, but missing required "
            f"input(s) {missing!r}. Please provide all required input(s).",
        )


def check_shapes(columns: Mapping[str, Column], plan: Plan) -> tuple[int, int]:
    """Refuse tensors that do not hold rows of events; return (batch, timesteps)."""
    sizes: set[tuple[int, ...]] = set()
    for name, size in zip(plan.names, plan.sizes, strict=True):
        shape = columns[name].shape
        # A vector of one number may stand without its axis.
        is_sized = shape[2:] == size or (size == (1,) and len(shape) == 2)
        if len(shape) < 2 or not is_sized:
            refuse_shape(name, shape, size)
        sizes.add(shape[:2])
    if len(sizes) > 1:
        raise InvalidRequest(
            "the inputs have different batches or timesteps: "
            f"{', '.join(map(str, map(list, sorted(sizes))))}. Send one value of each "
            "input for each event of each row."
        )
    batch, timesteps = sizes.pop()
    if not batch:
        raise EmptySequence("the inputs have no row; send at least one.")
    return batch, timesteps


def refuse_shape(name: str, shape: tuple[int, ...], size: tuple[int, ...]) -> NoReturn:
    """Refuse the shape of a tensor."""
    expected = ["batch", "timesteps", *map(str, size)]
    raise InvalidRequest(
        f"input {name!r} has shape {list(shape)}; this model takes "
        f"[{', '.join(expected)}]. A row of three events has shape "
        f"{[1, 3, *size]}."
    )


def read_lengths(column: Column | None, batch: int, timesteps: int) -> list[int]:
    """Read how many events of each row are its own; all of them unless told."""
    if column is None:
        return [timesteps] * batch
    if column.datatype not in LENGTH_DATATYPES or column.shape not in (
        (batch,),
        (batch, 1),
    ):
        raise InvalidRequest(
            f"input {LENGTH!r} is {column.datatype} of shape {list(column.shape)}; "
            f"expected INT32 of shape [{batch}], one number for each row."
        )
    lengths: list[int] = np.asarray(column.values).tolist()
    if not all(0 <= length <= timesteps for length in lengths):
        raise InvalidRequest(
            f"input {LENGTH!r} holds a number outside 0 to {timesteps}, the timesteps "
            "of the other inputs. Say how many events of each row are its own."
        )
    return lengths


def check_lengths(lengths: Sequence[int], max_events: int) -> None:
    """Refuse rows without events, or with more than the service accepts."""
    for k, length in enumerate(lengths):
        if not length:
            raise EmptySequence(f"row {k} has no event; send at least one.")
        if length > max_events:
            raise SequenceTooLong(
                f"row {k} has {length} events; at most {max_events} are accepted in "
                "one row. Split it over several requests of one sequence.",
                max_events=max_events,
            )


def encode_row(
    columns: Mapping[str, Column], plan: Plan, own: slice, encoder: Encoder
) -> np.ndarray:
    """Lay the fields of one row's events side by side."""
    parts = [
        read_field(columns[field["name"]], field, own, index)
        for field, index in zip(plan.fields, plan.indices, strict=True)
    ]
    if not encoder.columns:
        return parts[0].astype(encoder.dtype)
    laid = [part.reshape(len(part), -1) for part in parts]
    whole = laid[0] if len(laid) == 1 else np.concatenate(laid, axis=1)
    return whole.astype(encoder.dtype)
