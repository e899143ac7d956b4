"""The v2 dialect: the infer call of Open Inference, with Triton's sequences.

Knows the JSON and the binary form of a request; neither routes nor status lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import numpy as np

from service.api.v2.body import no_shared_memory, read_form
from service.api.v2.events import encode_rows
from service.api.v2.input_plan import PLAN, InputPlan, prepare_plan
from service.api.v2.parameters import read, read_memory
from service.api.v2.schema import (
    Column,
    Form,
    OutputForm,
    Parameters,
    ParsedInfer,
    Remembering,
    Wanted,
)
from service.api.v2.tensors import read_raw
from service.common.loop import LARGE_BYTES, long_work
from service.engine.idempotency import FINGERPRINT_BYTES, EventColumns, digest_events
from service.engine.rows import Row
from service.errors import InvalidRequest
from service.registry.catalog import Model
from service.registry.encoding.events import warn_of_unknown

NAME = attrgetter("name")


def parse_body(
    data: bytes,
    header_length: int | None,
    model: Model,
    *,
    max_rows: int,
    key: str | None = None,
    scope: str = "",
    timeout_seconds: float = math.inf,
) -> ParsedInfer:
    """Parse the body of an infer call; a large one with breaks.

    Args:
        data: The body, decompressed.
        header_length: How many bytes of it are JSON, if it says so; 0 for a body that
            is the one input.
        model: Model of its events.
        max_rows: Most rows accepted.
        key: Idempotency key the request has outside the body, if any.
        scope: What the address says besides the model, for the key's fingerprint.
        timeout_seconds: Seconds after which a large body is given up.

    Raises:
        InvalidRequest: The body cannot be used.
    """
    if len(data) <= LARGE_BYTES:
        return parse_whole(data, header_length, model, max_rows, key, scope)
    with long_work(len(data), timeout_seconds):
        return parse_whole(data, header_length, model, max_rows, key, scope)


def parse_whole(
    data: bytes,
    header_length: int | None,
    model: Model,
    max_rows: int,
    key: str | None,
    scope: str,
) -> ParsedInfer:
    """Parse a body; see `parse_body`.

    Raises:
        InvalidRequest: The body cannot be used.
    """
    if header_length == 0:
        form, columns = read_raw(data, model)
    else:
        form, columns = read_form(data, header_length)
    memory = read_memory(form.parameters)
    named = dict(zip(map(NAME, columns), columns, strict=True))
    own = model.manifest.input_name
    if own in named and "sequence" not in named:
        named["sequence"] = named.pop(own)
    sequences = encode_rows(named, model, max_rows=max_rows)
    is_remembered = memory.session is not None or memory.token is not None
    if is_remembered and len(sequences) > 1:
        raise InvalidRequest(
            f"the request has {len(sequences)} rows and one memory; a sequence "
            "advances one row at a time. Send one row, of as many events as there are."
        )
    outputs = choose_outputs(form, memory, model)
    warning = None
    if model.encoder.unknown is not None:  # most models refuse what they do not know
        warning = warn(named, model)
    if not is_remembered:
        rows = [build_row(sequence, memory) for sequence in sequences]
        return ParsedInfer(rows, form.id, memory, outputs, warning)
    (sequence,) = sequences
    row = build_row(sequence, memory, find_events(named, model, len(sequence)))
    name = memory.key or key
    if name is not None:
        events = digest_events(row, model.manifest.input)
        row = row.replace(
            key=name,
            fingerprint=digest_request(events, memory, outputs, scope),
            former_fingerprint=digest_request(
                sequence.tobytes(), memory, outputs, scope
            ),
        )
    return ParsedInfer([row], form.id, memory, outputs, warning)


def warn(columns: Mapping[str, Column], model: Model) -> str | None:
    """Warn of events that training has not seen, where the model takes them."""
    if "sequence" not in columns:
        return None
    texts = columns["sequence"].values
    # Padding is no event; it is found out by `length`, not by what is there.
    names = texts if isinstance(texts, list) else []
    return warn_of_unknown(model.encoder, names)


def build_row(
    sequence: np.ndarray, memory: Remembering, events: Sequence[Any] | None = None
) -> Row:
    """Hand a row and its memory to the engine's form."""
    return Row(
        sequence=sequence,
        session=memory.session,
        token=memory.token or None,
        seal_memory=memory.token is not None,
        at=memory.at,
        start=memory.start,
        end=memory.end,
        ttl_seconds=memory.ttl_seconds,
        is_strict=memory.session is not None,
        is_last_only=memory.is_last_only,
        events=events,
    )


def find_events(
    columns: Mapping[str, Column], model: Model, length: int
) -> Sequence[Any] | None:
    """Return a row's events as they were sent, where any of it came by name."""
    if model.manifest.input["kind"] == "record":
        plan: InputPlan = model.prepared.get(PLAN) or prepare_plan(model)
        sizes = zip(plan.names, plan.sizes, strict=True)
        own = {n: list_events(columns[n], size) for n, size in sizes if n in columns}
        return EventColumns(own, length)
    column = columns.get("sequence")
    if column is None or not isinstance(column.values, list):
        return None
    return column.values[:length]


def list_events(column: Column, size: tuple[int, ...]) -> list[str] | np.ndarray:
    """Return a field's values, one for each event: names, numbers, or vectors."""
    values = column.values
    return values if isinstance(values, list) else values.reshape(-1, *size)


def digest_request(
    events: bytes, memory: Remembering, outputs: Sequence[Wanted], scope: str
) -> bytes:
    """Digest what is asked for, not its form.

    The same request in JSON and in binary, under another request id, is the same.
    """
    asked = [(wanted.name, wanted.num_classes) for wanted in outputs]
    options = repr((scope, memory.replace(key=None, sequence_id=None), asked))
    digest = blake2b(options.encode(), digest_size=FINGERPRINT_BYTES)
    digest.update(events)
    return digest.digest()


def choose_outputs(form: Form, memory: Remembering, model: Model) -> Sequence[Wanted]:
    """Return the outputs that are asked for; all of them unless some are named."""
    plan: InputPlan = model.prepared.get(PLAN) or prepare_plan(model)
    is_binary = False
    if "binary_data_output" in form.parameters:
        is_binary = bool(read(form.parameters, "binary_data_output", False))
    if not form.outputs:
        return plan.wanted[is_binary]
    wanted: list[Wanted] = []
    for output in form.outputs:
        wanted.append(choose_output(output, plan.outputs, is_binary, memory))
    return wanted


def choose_output(
    output: OutputForm, names: Sequence[str], is_binary: bool, memory: Remembering
) -> Wanted:
    """Check one output that is asked for.

    Raises:
        InvalidRequest: The model has no such output, a parameter of it cannot be used,
            or classes are asked for after every event.
    """
    if output.name not in names:
        raise InvalidRequest(
            f"output {output.name[:80]!r} is not one of this model's; its outputs are "
            f"{', '.join(names)}.",
            error=f"unexpected inference output '{output.name[:80]}'",
        )
    wanted = read_wanted(output.name, output.parameters, is_binary=is_binary)
    if wanted.num_classes and not memory.is_last_only:
        raise InvalidRequest(
            'classification names the classes after the last event; it and "return": '
            '"all" exclude each other.'
        )
    return wanted


def read_wanted(name: str, parameters: Parameters, *, is_binary: bool) -> Wanted:
    """Read in which form an output is wanted.

    Raises:
        InvalidRequest: It is to be in shared memory, or a parameter is of another kind
            or below 0.
    """
    if not parameters:
        return Wanted(name, is_binary)
    if len(parameters) == 1 and parameters.get("binary_data") is True:
        return Wanted(name, True)  # as Triton's clients ask
    if "shared_memory_region" in parameters:
        raise no_shared_memory(name)
    num_classes = int(read(parameters, "classification", 0))
    if num_classes < 0:
        raise InvalidRequest(
            f"classification of output {name!r} is {num_classes}; expected 1 or more."
        )
    is_binary = bool(read(parameters, "binary_data", is_binary))
    return Wanted(name, is_binary, num_classes)
