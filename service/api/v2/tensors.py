"""The v2 dialect's tensor data: binary and JSON to values, and text back to binary.

Knows datatypes and shapes; not what a model takes.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from service.api.json_loading import load_large_json
from service.api.long_json import NUM_OTHERS, count_containers
from service.api.v2.schema import (
    BYTES,
    DATATYPES,
    DTYPES,
    Column,
    Form,
    InputForm,
    list_inputs,
)
from service.common.loop import LARGE_BYTES, LONG_LIST_BYTES, take_break
from service.errors import InvalidEvent, InvalidRequest, NonFiniteInput
from service.registry.catalog import Model

SIZE = struct.Struct("<I")
# Texts that are read in less than a millisecond.
PIECE_TEXTS = 256
PARTS = msgspec.json.Decoder(list[msgspec.Raw])
NESTED = re.compile(rb"\s*+\[\s*+\[")


def read_binary(form: InputForm, data: memoryview) -> Column:
    """Read a tensor from its binary form.

    Args:
        form: What the request says of it.
        data: Its bytes, little-endian and row-major.

    Raises:
        InvalidRequest: The bytes are not those of such a tensor.
    """
    shape = tuple(form.shape)
    count = check_datatype(form)
    if form.datatype == BYTES:
        return Column(form.name, BYTES, shape, read_texts(form.name, data, count))
    dtype = DTYPES[form.datatype]
    if len(data) != count * dtype.itemsize:
        raise InvalidRequest(
            f"input {form.name!r} has {len(data)} bytes of binary data; a tensor of "
            f"{form.datatype} and shape {form.shape} has {count * dtype.itemsize}. "
            "Send as many bytes as the shape says."
        )
    return Column(form.name, form.datatype, shape, np.frombuffer(data, dtype))


def check_datatype(form: InputForm) -> int:
    """Refuse an unknown datatype; return how many elements the shape holds.

    Raises:
        InvalidRequest: The datatype is unknown.
    """
    if form.datatype not in DTYPES and form.datatype != BYTES:
        raise InvalidRequest(
            f"input {form.name!r} has datatype {form.datatype[:40]!r}; expected one of "
            f"{', '.join(DATATYPES)}."
        )
    return math.prod(form.shape)


def read_texts(name: str, data: memoryview, count: int) -> list[str]:
    """Read elements of BYTES: each a length of four bytes, then that many bytes.

    Raises:
        InvalidRequest: The bytes are not `count` elements.
        InvalidEvent: An element is not UTF-8.
    """
    texts: list[str] = []
    start, end = 0, len(data)
    if count * SIZE.size > end:
        raise wrong_count(name, count, end)
    try:
        while start < end:
            (size,) = SIZE.unpack_from(data, start)
            start += SIZE.size
            if start + size > end:
                raise wrong_count(name, count, end)
            texts.append(str(data[start : start + size], "utf-8"))
            start += size
            if len(texts) % PIECE_TEXTS == 0:
                take_break()
    except struct.error:
        raise wrong_count(name, count, end) from None
    except UnicodeDecodeError:
        raise not_utf8(name, len(texts)) from None
    if len(texts) != count:
        raise wrong_count(name, count, end)
    return texts


def wrong_count(name: str, count: int, num_bytes: int) -> InvalidRequest:
    """Return the error of BYTES that do not hold the elements of their shape."""
    return InvalidRequest(
        f"input {name!r} has {num_bytes} bytes of binary data, which are not the "
        f"{count} elements of its shape; each is its length in four bytes, "
        "little-endian, and then that many bytes of UTF-8. Write them so."
    )


def not_utf8(name: str, position: int) -> InvalidEvent:
    """Return the error of a name that is no text."""
    return InvalidEvent(
        f"element {position} of input {name!r} is not UTF-8; expected text. Encode "
        "names as UTF-8.",
        position=position,
    )


def read_json(form: InputForm, data: msgspec.Raw) -> Column:
    """Read a tensor from its `data`: numbers or text, flat or nested.

    Raises:
        InvalidRequest: The data are not those of such a tensor.
    """
    shape = tuple(form.shape)
    count = check_datatype(form)
    check_lists(form, data, count)
    flat = flatten(form, decode(data))
    if len(flat) != count:
        raise InvalidRequest(
            f"input {form.name!r} has {len(flat)} elements in data; its shape "
            f"{form.shape} holds {count}. Send as many as the shape says."
        )
    take_break()
    kinds = set(map(type, flat))
    take_break()
    if form.datatype == BYTES:
        check_kinds(form, kinds, {str}, "text")
        return Column(form.name, BYTES, shape, flat)
    return Column(form.name, form.datatype, shape, to_array(form, flat, kinds))


def check_lists(form: InputForm, data: msgspec.Raw, count: int) -> None:
    """Refuse more lists than elements have, at each of the dimensions.

    Raises:
        InvalidRequest: There are more.
    """
    limit = len(form.shape) * count + NUM_OTHERS
    number = count_containers(str(memoryview(data), "latin-1"), limit)
    if number > limit:
        raise InvalidRequest(
            f"data of input {form.name!r} has {number} lists and objects; its shape "
            f"{form.shape} holds {count} elements. Send a list of them, flat or nested "
            "as its shape is."
        )


def decode(data: msgspec.Raw) -> Any:
    """Decode `data`; what a long list contains, one by one."""
    size = len(memoryview(data))
    if size <= LARGE_BYTES:
        return msgspec.json.decode(data)
    if not NESTED.match(data):
        if size > LONG_LIST_BYTES:
            with suppress(ValueError):  # the decoder below says what is wrong
                return load_large_json(bytes(data).decode(), msgspec.json.encode)
        return msgspec.json.decode(data)
    parts = []
    for part in PARTS.decode(data):
        parts.append(msgspec.json.decode(part))
        take_break()
    return parts


def flatten(form: InputForm, data: Any) -> list[Any]:
    """Lay nested lists out row by row.

    Raises:
        InvalidRequest: It is not a list, or has lists next to values.
    """
    if not isinstance(data, list):
        raise InvalidRequest(
            f"data of input {form.name!r} is no list; expected a list of "
            f"{form.datatype}, flat or nested as its shape is."
        )
    values: list[Any] = data
    while values and isinstance(values[0], list):
        if set(map(type, values)) != {list}:
            raise InvalidRequest(
                f"data of input {form.name!r} has lists next to values; nest all of "
                "it, or none."
            )
        take_break()
        values = list(chain.from_iterable(values))
    return values


def to_array(form: InputForm, flat: Sequence[Any], kinds: set[type]) -> np.ndarray:
    """Check JSON values and make them an array.

    Raises:
        InvalidEvent: A value is of another kind than the datatype.
        InvalidRequest: A whole number does not fit the datatype.
        NonFiniteInput: A whole number is beyond float64.
    """
    dtype = DTYPES[form.datatype]
    if dtype.kind == "b":
        check_kinds(form, kinds, {bool}, "true or false")
        return np.array(flat, dtype)
    if dtype.kind == "f":
        check_kinds(form, kinds, {int, float}, "numbers")
        return to_floats(form, flat)
    check_kinds(form, kinds, {int}, "whole numbers")
    limits = np.iinfo(dtype)
    if flat and not (limits.min <= min(flat) and max(flat) <= limits.max):
        raise InvalidRequest(
            f"data of input {form.name!r} holds a number that does not fit "
            f"{form.datatype}, {limits.min} to {limits.max}. Send another datatype."
        )
    return np.array(flat, dtype)


def to_floats(form: InputForm, flat: Sequence[Any]) -> np.ndarray:
    """Make numbers float64; what the model takes is narrowed only after its checks.

    Raises:
        NonFiniteInput: A whole number is beyond float64.
    """
    try:
        return np.array(flat, np.float64)
    except OverflowError:
        raise NonFiniteInput(
            f"data of input {form.name!r} holds a huge integer; expected finite "
            "numbers that fit a 32-bit float."
        ) from None


def check_kinds(
    form: InputForm, kinds: set[type], allowed: set[type], what: str
) -> None:
    """Refuse values of another type than the datatype says.

    Raises:
        InvalidEvent: There is one.
    """
    if not kinds <= allowed:
        others = ", ".join(sorted(kind.__name__ for kind in kinds - allowed))
        raise InvalidEvent(
            f"data of input {form.name!r} holds {others}; {form.datatype} takes {what}."
        )


def write_texts(texts: Iterable[str]) -> bytes:
    """Write elements of BYTES in their binary form."""
    encoded = [text.encode() for text in texts]
    return b"".join(SIZE.pack(len(text)) + text for text in encoded)


def read_raw(data: bytes, model: Model) -> tuple[Form, list[Column]]:
    """Read a body that is the one input of a model, one row of it.

    A body for a model of names is a lone name, or names in the binary form of BYTES.

    Raises:
        InvalidRequest: The model has several inputs, or a name is not UTF-8.
    """
    inputs = list_inputs(model.manifest)
    if len(inputs) != 1:
        raise InvalidRequest(
            f"the body is one input without JSON, and {model.manifest.name} takes "
            f"{len(inputs)}. Send an infer request."
        )
    (tensor,) = inputs
    size = tensor.shape[2:]
    raw = memoryview(data)
    if tensor.datatype == BYTES:
        texts = split_texts(data)
        raw, count = memoryview(write_texts(texts)), len(texts)
    else:
        width = DTYPES[tensor.datatype].itemsize * (size[0] if size else 1)
        count = len(data) // width
    form = InputForm(tensor.name, [1, count, *size], tensor.datatype)
    whole = Form([form], parameters={"binary_data_output": True})
    return whole, [read_binary(form, raw)]


def split_texts(data: bytes) -> list[str]:
    """Cut a body into names: as the binary form has them, or else it is one name.

    Raises:
        InvalidRequest: A name is not UTF-8.
    """
    texts: list[str] = []
    start = 0
    try:
        while start < len(data):
            end = start + 4 + int.from_bytes(data[start : start + 4], "little")
            if end > len(data) or start + 4 > len(data):
                return [data.decode()]
            texts.append(data[start + 4 : end].decode())
            start = end
    except UnicodeDecodeError:
        raise InvalidRequest(
            "the body is neither a name nor names in the binary form of BYTES; "
            "expected UTF-8."
        ) from None
    return texts
