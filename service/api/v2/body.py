"""The v2 dialect's body: JSON, and binary tensors after it, to the values of inputs.

Knows how a request is written; not what a model takes.
"""

from __future__ import annotations

import contextlib
import json
from typing import NoReturn

import msgspec
from msgspec import UNSET

from service.api.json_loading import load_large_json
from service.api.v2.parameters import read
from service.api.v2.schema import Column, Form, InputForm
from service.api.v2.tensors import read_binary, read_json
from service.common.loop import LARGE_BYTES
from service.errors import InvalidJson, InvalidRequest, NonFiniteInput

DECODER = msgspec.json.Decoder(Form)
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_form(data: bytes, header_length: int | None) -> tuple[Form, list[Column]]:
    """Read a body of JSON, and of binary tensors after it.

    Raises:
        InvalidRequest: The JSON or a tensor does not have the right form, an input
            occurs twice, or bytes are left over.
        InvalidJson: The JSON or the `data` of an input cannot be read.
    """
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
            f"{len(tail)} bytes are left over after the tensors; expected as many as "
            "their binary_data_size say."
        )
    if len(columns) > 1 and len({column.name for column in columns}) < len(columns):
        raise InvalidRequest("an input stands twice in the request. Send each once.")
    return form, columns


def decode_form(head: bytes) -> Form:
    """Read the JSON and check its form.

    Raises:
        InvalidRequest: It does not have the right form.
        InvalidJson: It is not JSON.
        NonFiniteInput: It has NaN or an infinity.
    """
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
    """Say why a body is not JSON; NaN and Infinity are, to some.

    Raises:
        NonFiniteInput: It has NaN or an infinity.
        InvalidJson: In every other case.
    """

    def refuse_constant(token: str) -> NoReturn:
        raise NonFiniteInput(
            f"the body holds {token}, which is no number; expected finite numbers. "
            "Leave the event out, or send its last known value."
        )

    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    with contextlib.suppress(ValueError, RecursionError):
        if len(data) > LARGE_BYTES:
            load_large_json(data.decode(), id, decoder)
        else:
            decoder.decode(data.decode())
    raise InvalidJson(
        f"the body is not JSON ({reason}); expected an infer request, such as "
        '{"inputs": [{"name": "sequence", "shape": [1, 1], "datatype": "BYTES", '
        '"data": ["an event"]}]}. Binary tensors need the header '
        "Inference-Header-Content-Length."
    )


def read_input(form: InputForm, tail: memoryview) -> tuple[Column, memoryview]:
    """Read one input, from its `data` or from the front of the binary tail.

    Raises:
        InvalidRequest: Its data is missing, sent twice, in shared memory, or not of the
            size or kind that it says.
    """
    if "shared_memory_region" in form.parameters:
        raise no_shared_memory(form.name)
    if "binary_data_size" not in form.parameters:
        if form.data is UNSET:
            raise InvalidRequest(
                f"input {form.name[:80]!r} has neither data nor binary_data_size. "
                "Send one of them."
            )
        return read_json(form, form.data), tail
    size = form.parameters["binary_data_size"]
    if type(size) is not int:
        size = int(read(form.parameters, "binary_data_size", 0))
    if form.data is not UNSET:
        raise InvalidRequest(
            f"input {form.name[:80]!r} has both data and binary_data_size. Send one of "
            "them."
        )
    if not 0 <= size <= len(tail):
        raise InvalidRequest(
            f"input {form.name[:80]!r} has binary_data_size {str(size)[:40]}; "
            f"{len(tail)} bytes are left after the JSON. Check it, and "
            "Inference-Header-Content-Length."
        )
    return read_binary(form, tail[:size]), tail[size:]


def no_shared_memory(name: str) -> InvalidRequest:
    """Return the error of a tensor in shared memory."""
    return InvalidRequest(
        f"tensor {name[:80]!r} is in shared memory, which this service does not read. "
        "Send its data in the request."
    )
