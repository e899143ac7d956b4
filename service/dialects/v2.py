"""The v2 dialect: the infer call of Open Inference, with Triton's sequences.

Knows the JSON and the binary form of a request; neither routes nor status lines.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import NoReturn

import msgspec
import numpy as np
from msgspec import UNSET

from service.catalog import Model
from service.dialects.v2_events import encode_rows
from service.dialects.v2_forms import (
    Column,
    Form,
    InputForm,
    OutputForm,
    Remembering,
    Request,
    Wanted,
)
from service.dialects.v2_parameters import (
    no_shared_memory,
    read,
    read_memory,
    read_wanted,
)
from service.dialects.v2_raw import read_raw
from service.dialects.v2_schema import list_outputs
from service.dialects.v2_tensors import read_binary, read_json
from service.errors import InvalidJson, InvalidRequest, NonFiniteInput
from service.rows import Row

DECODER = msgspec.json.Decoder(Form)
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def parse(
    data: bytes, header_length: int | None, model: Model, *, max_rows: int
) -> Request:
    """Parse the body of an infer call.

    Args:
        data: The body, decompressed.
        header_length: How many bytes of it are JSON, if it says so; 0 for a body that
            is the one input.
        model: Whose events it holds.
        max_rows: Most rows accepted.

    Raises:
        InvalidRequest: The body cannot be used.
    """
    if header_length == 0:
        form, columns = read_raw(data, model)
    else:
        form, columns = read_form(data, header_length)
    memory = read_memory(form.parameters)
    sequences = encode_rows(
        {column.name: column for column in columns}, model, max_rows=max_rows
    )
    is_remembered = memory.session is not None or memory.token is not None
    if is_remembered and len(sequences) > 1:
        raise InvalidRequest(
            f"the request has {len(sequences)} rows and one memory; a sequence "
            "advances one row at a time. Send one row, of as many events as there are."
        )
    rows = [build_row(sequence, memory) for sequence in sequences]
    return Request(rows, form.id, memory, choose_outputs(form, memory, model))


def build_row(sequence: np.ndarray, memory: Remembering) -> Row:
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
    )


def read_form(data: bytes, header_length: int | None) -> tuple[Form, list[Column]]:
    """Read a body of JSON, and of binary tensors behind it."""
    view = memoryview(data)
    if header_length is not None and header_length > len(data):
        raise InvalidRequest(
            f"Inference-Header-Content-Length is {header_length}; the body has "
            f"{len(data)} bytes. Say how many bytes the JSON takes."
        )
    head = data if header_length is None else data[:header_length]
    form = decode_form(head)
    tail = view[len(head) :]
    columns: list[Column] = []
    try:
        for entry in form.inputs:
            column, tail = read_input(entry, tail)
            columns.append(column)
    except UNREADABLE as error:
        refuse_json(head, str(error)[:120])
    if len(tail):
        raise InvalidRequest(
            f"{len(tail)} bytes are left over behind the tensors; expected as many as "
            "their binary_data_size say."
        )
    if len({column.name for column in columns}) < len(columns):
        raise InvalidRequest("an input stands twice in the request. Send each once.")
    return form, columns


def decode_form(head: bytes) -> Form:
    """Read the JSON and check its form."""
    try:
        return DECODER.decode(head)
    except msgspec.ValidationError as error:
        text = str(error).replace(" - at `$", " - at `the body").replace("`", "'")
        raise InvalidRequest(
            f"the request does not have the right form: {text}."
        ) from None
    except UNREADABLE as error:
        refuse_json(head, "it is empty" if not head else str(error)[:120])


def refuse_json(data: bytes, reason: str) -> NoReturn:
    """Say why a body is not JSON; NaN and Infinity are, to some."""

    def refuse_constant(token: str) -> NoReturn:
        raise NonFiniteInput(
            f"the body holds {token}, which is no number; expected finite numbers. "
            "Leave the event out, or send its last known value."
        )

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(data, parse_constant=refuse_constant)
    raise InvalidJson(
        f"the body is not JSON ({reason}); expected an infer request, such as "
        '{"inputs": [{"name": "sequence", "shape": [1, 1], "datatype": "BYTES", '
        '"data": ["an event"]}]}. Binary tensors need the header '
        "Inference-Header-Content-Length."
    )


def read_input(form: InputForm, tail: memoryview) -> tuple[Column, memoryview]:
    """Read one input, from its `data` or from the front of the binary tail."""
    if "shared_memory_region" in form.parameters:
        raise no_shared_memory(form.name)
    if "binary_data_size" not in form.parameters:
        if form.data is UNSET:
            raise InvalidRequest(
                f"input {form.name[:80]!r} has neither data nor binary_data_size. "
                "Send one of them."
            )
        return read_json(form, form.data), tail
    size = int(read(form.parameters, "binary_data_size", 0))
    if form.data is not UNSET:
        raise InvalidRequest(
            f"input {form.name[:80]!r} has both data and binary_data_size. Send one of "
            "them."
        )
    if not 0 <= size <= len(tail):
        raise InvalidRequest(
            f"input {form.name[:80]!r} has binary_data_size {str(size)[:40]}; "
            f"{len(tail)} bytes are left behind the JSON. Check it, and "
            "Inference-Header-Content-Length."
        )
    return read_binary(form, tail[:size]), tail[size:]


def choose_outputs(form: Form, memory: Remembering, model: Model) -> Sequence[Wanted]:
    """Return the outputs that are asked for; all of them unless some are named."""
    names = [tensor.name for tensor in list_outputs(model.manifest)]
    is_binary = bool(read(form.parameters, "binary_data_output", False))
    if not form.outputs:
        return [Wanted(name, is_binary) for name in names]
    return [choose_output(output, names, is_binary, memory) for output in form.outputs]


def choose_output(
    output: OutputForm, names: Sequence[str], is_binary: bool, memory: Remembering
) -> Wanted:
    """Check one output that is asked for."""
    if output.name not in names:
        raise InvalidRequest(
            f"output {output.name[:80]!r} is none of this model; its outputs are "
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
