"""The v2 dialect's events: input tensors to the sequences of a model's rows.

Knows shapes and names; no JSON and no memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

import numpy as np

from service.api.v2.input_plan import PLAN, Field, InputPlan, prepare_plan, read_field
from service.api.v2.schema import LENGTH, LENGTH_DATATYPES, Column
from service.common.loop import take_break
from service.errors import EmptySequence, InvalidRequest, SequenceTooLong, TooManyRows
from service.registry.catalog import Model
from service.registry.encoding.events import Encoder


def encode_rows(
    columns: Mapping[str, Column], model: Model, *, max_rows: int
) -> list[np.ndarray]:
    """Encode the rows of a request.

    Args:
        columns: The input tensors by name, of shape (batch, timesteps[, size]); with
            `length` the rows may be shorter than the tensors.
        model: Model of the events.
        max_rows: Most rows accepted.

    Returns:
        Of each row the sequence, (timesteps,) or (timesteps, columns).

    Raises:
        InvalidRequest: The tensors are not the model's, or hold other events.
    """
    plan: InputPlan = model.prepared.get(PLAN) or prepare_plan(model)
    if columns.keys() != plan.required:
        check_names(columns, plan.names, model.manifest.name, plan.statics)
    batch, timesteps = check_shapes(columns, plan)
    if batch > max_rows:
        raise TooManyRows(
            f"the inputs have {batch} rows; at most {max_rows} are accepted in one "
            "request. Send the rest in another.",
            max_rows=max_rows,
        )
    lengths = [timesteps] * batch
    if LENGTH in columns:
        lengths = read_lengths(columns[LENGTH], batch, timesteps)
    check_lengths(lengths, model.encoder.max_events)
    if batch == 1:
        own = slice(0, lengths[0])
        return [encode_row(columns, plan, own, model.encoder, timesteps)]
    starts = range(0, batch * timesteps, timesteps)
    sequences = []
    for k, n in zip(starts, lengths, strict=True):
        own = slice(k, k + n)
        sequences.append(encode_row(columns, plan, own, model.encoder, timesteps))
        take_break()
    return sequences


def check_names(
    columns: Mapping[str, Column],
    names: Sequence[str],
    model: str,
    statics: Collection[str] = (),
) -> None:
    """Refuse inputs the model does not take, and the lack of those it does.

    Raises:
        InvalidRequest: An input is unknown or missing.
    """
    unknown = [name for name in columns if name not in names and name != LENGTH]
    missing = [name for name in names if name not in {*columns, *statics}]
    if unknown:
        name = unknown[0][:80]
        raise InvalidRequest(
            f"input {name!r} is not one of model {model!r}; its inputs are "
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


def check_shapes(columns: Mapping[str, Column], plan: InputPlan) -> tuple[int, int]:
    """Refuse tensors that do not hold rows of events; return (batch, timesteps).

    Raises:
        InvalidRequest: A shape is not the model's, or batches or timesteps differ.
        EmptySequence: There is no row.
    """
    sizes: set[tuple[int, ...]] = set()
    batches: set[int] = set()
    for name, size in zip(plan.names, plan.sizes, strict=True):
        if name in plan.statics and name not in columns:
            continue
        shape = columns[name].shape
        if name in plan.statics and is_lone(shape, size):
            batches.add(shape[0])
            continue
        # A vector of one number may stand without its axis.
        is_sized = shape[2:] == size or (size == (1,) and len(shape) == 2)
        if len(shape) < 2 or not is_sized:
            refuse_shape(name, shape, size)
        sizes.add(shape[:2])
    if len(sizes) > 1 or (batches and batches - {batch for batch, _ in sizes}):
        sizes |= {(batch, 1) for batch in batches}
        raise InvalidRequest(
            "the inputs have different batches or timesteps: "
            f"{', '.join(map(str, map(list, sorted(sizes))))}. Send one value of each "
            "input for each event of each row."
        )
    batch, timesteps = sizes.pop()
    if not batch:
        raise EmptySequence("the inputs have no row; send at least one.")
    return batch, timesteps


def is_lone(shape: tuple[int, ...], size: tuple[int, ...]) -> bool:
    """Return whether a static tensor has one value a row: (batch[, size])."""
    return shape[1:] == size or shape[1:] == (1,)


def refuse_shape(name: str, shape: tuple[int, ...], size: tuple[int, ...]) -> NoReturn:
    """Refuse the shape of a tensor.

    Raises:
        InvalidRequest: Always.
    """
    expected = ["batch", "timesteps", *map(str, size)]
    raise InvalidRequest(
        f"input {name!r} has shape {list(shape)}; this model takes "
        f"[{', '.join(expected)}]. A row of three events has shape "
        f"{[1, 3, *size]}."
    )


def read_lengths(column: Column, batch: int, timesteps: int) -> list[int]:
    """Read how many events of each row are its own.

    Raises:
        InvalidRequest: The input has another datatype or shape, or a number outside 0
            to `timesteps`.
    """
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
    """Refuse rows without events, or with more than the service accepts.

    Raises:
        EmptySequence: A row has no event.
        SequenceTooLong: A row has more than `max_events`.
    """
    for k, length in enumerate(lengths):
        if not length:
            raise EmptySequence(f"row {k} has no event; send at least one.")
        if length > max_events:
            raise SequenceTooLong(
                f"row {k} has {length} events; at most {max_events} are accepted in "
                "one row. Split it over several requests of one sequence.",
                max_events=max_events,
            )


def read_static(
    column: Column | None, field: Field, own: slice, timesteps: int
) -> np.ndarray:
    """Read a static field of one row; NaN for the events that leave it out."""
    size = field["size"] if field["type"] == "vector" else 1
    if column is not None and not is_lone(column.shape, (size,) * (size > 1)):
        return read_field(column, field, own, {})
    values = np.full((own.stop - own.start, size), np.nan)
    if column is not None:
        row = own.start // timesteps
        values[0] = read_field(column, field, slice(row, row + 1), {})
    return values


def encode_row(
    columns: Mapping[str, Column],
    plan: InputPlan,
    own: slice,
    encoder: Encoder,
    timesteps: int,
) -> np.ndarray:
    """Lay the fields of one row's events side by side.

    Args:
        columns: The input tensors by name.
        plan: Of the model.
        own: The row's events, among those of all rows.
        encoder: Of the model.
        timesteps: Of the tensors, from one row to the next.
    """
    parts: list[np.ndarray] = []
    for field, index in zip(plan.fields, plan.indices, strict=True):
        name = field["name"]
        if name in plan.statics:
            parts.append(read_static(columns.get(name), field, own, timesteps))
        else:
            parts.append(read_field(columns[name], field, own, index))
    if not encoder.columns:
        return parts[0].astype(encoder.dtype)
    laid = [part.reshape(len(part), -1) for part in parts]
    whole = laid[0] if len(laid) == 1 else np.concatenate(laid, axis=1)
    return whole.astype(encoder.dtype)
