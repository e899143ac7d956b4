"""Memory in the open: a record's tensors as named arrays, and read back.

What comes back is checked as an event is: its names, shapes, numbers and the network
that made it. It is written as JSON or as safetensors: both hold the same document; in a
safetensors file, what is no tensor is in the metadata, as text. Knows no HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import orjson
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.errors import (
    CarryoverError,
    InvalidJson,
    InvalidMemory,
    UnknownField,
    WrongNetwork,
)
from service.registry.catalog import Model
from service.registry.encoding.fields import FLOAT32_BOUND
from service.registry.encoding.last_event import show_event
from service.sessions.changes import Imported
from service.sessions.record import Session

# Steps and lifetimes as a row may have them; a year is longer than any sensor sleeps.
MAX_STEP = 2**53
MAX_IDLE_SECONDS = 366 * 86_400
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_IDLE_SECONDS)]
Step = Annotated[int, msgspec.Meta(ge=0, le=MAX_STEP)]
JSON = "application/json"
# None is registered for safetensors.
SAFETENSORS = "application/vnd.safetensors"
# The file begins with the length of its JSON header, 64-bit little-endian.
LENGTH_BYTES = 8
METADATA = "__metadata__"
JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


class MemoryDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A memory in the open.

    Args:
        model: Name of the model; may be left out.
        model_version: The version with the weights that made it; on import it
            chooses among served versions of `network`, which decides.
        network: Fingerprint of those weights, in hexadecimal.
        step: How many events it has absorbed.
        last_event: The newest of them, as a client sends one; null if unknown.
        ttl_seconds: Idle lifetime asked for; never exported.
        memory: The tensors by name, each an array of numbers.
    """

    model: str | None = None
    model_version: str | None = None
    network: str
    step: Step
    last_event: Any = None
    ttl_seconds: Seconds | None = None
    memory: dict[str, Any]


def split_tensors(tensors: bytes, model: Model) -> dict[str, np.ndarray]:
    """Cut a record's tensors into arrays by name."""
    packed = np.frombuffer(tensors, model.memory_dtype)
    arrays: dict[str, np.ndarray] = {}
    start = 0
    for name, shape in model.manifest.memory.items():
        stop = start + int(np.prod(shape))
        arrays[name] = packed[start:stop].reshape(shape)
        start = stop
    return arrays


def show_memory(record: Session, model: Model) -> MemoryDocument:
    """Lay a memory open; the arrays are NumPy's."""
    return MemoryDocument(
        model=model.manifest.name,
        model_version=str(record.model_version),
        network=record.network.hex(),
        step=record.step,
        last_event=show_event(record.last_event, model.encoder, model.manifest.input),
        memory=split_tensors(record.tensors, model),
    )


def read_memory(
    document: MemoryDocument, model: str, family: Sequence[Model]
) -> Imported:
    """Check a memory in the open and pack it.

    Args:
        document: The memory.
        model: Name of the model it is to be for.
        family: The served versions of that model.

    Raises:
        WrongNetwork: No served version's weights made it.
        InvalidMemory: A tensor is missing or unknown, has another shape, or holds what
            is not a finite float32; or its model or its event is a wrong one.
    """
    if document.model not in (None, model):
        raise InvalidMemory(
            f"the memory is model {document.model!r}'s; this call is for {model!r}. "
            "Send it to the model it came from."
        )
    makers = [one for one in family if one.fingerprint.hex() == document.network]
    if not makers:
        raise _wrong_network(document, family)
    # Versions may share their weights: then the one that the memory names.
    named = [
        one for one in makers if str(one.manifest.version) == document.model_version
    ]
    maker = (named or makers)[-1]
    layout = maker.manifest.memory
    _check_names(document.memory, layout)
    arrays = [
        _read_tensor(name, document.memory[name], shape, maker.memory_dtype)
        for name, shape in layout.items()
    ]
    return Imported(
        step=document.step,
        model_version=maker.manifest.version,
        network=maker.fingerprint,
        tensors=b"".join(array.tobytes() for array in arrays),
        last_event=_read_event(document, maker),
        idle_seconds=document.ttl_seconds,
    )


def _check_names(memory: Mapping[str, Any], layout: Mapping[str, Any]) -> None:
    if memory.keys() != layout.keys():
        received = ", ".join(str(name)[:40] for name in list(memory)[:12]) or "(none)"
        raise InvalidMemory(
            f"the memory has the tensors {received}; expected exactly "
            f"{', '.join(layout)}. Send all that GET .../memory answers."
        )


def _read_tensor(
    name: str, value: Any, shape: list[int], dtype: np.dtype[Any]
) -> np.ndarray:
    expected = "expected finite numbers that fit a 32-bit float"
    try:
        array = np.asarray(value)
        is_number = array.dtype.kind in "iuf" and not _holds_truth(value)
    except (ValueError, OverflowError):
        is_number = False  # lists of different lengths, or integers beyond 64 bits
    if not is_number:
        raise InvalidMemory(f"memory.{name} is no array of numbers; {expected}.")
    if list(array.shape) != shape:
        raise InvalidMemory(
            f"memory.{name} has shape {list(array.shape)}; this network's has {shape}. "
            "Send it as GET .../memory answers it."
        )
    if not (np.abs(array.astype(np.float64)) < FLOAT32_BOUND).all():  # false for NaN
        raise InvalidMemory(f"memory.{name} holds what is no such number; {expected}.")
    return array.astype(dtype)


def _holds_truth(value: Any) -> bool:
    """Return whether nested lists hold true or false, which NumPy takes for 1 and 0."""
    if isinstance(value, list):
        return any(_holds_truth(one) for one in value)
    return isinstance(value, bool)


def _read_event(document: MemoryDocument, model: Model) -> bytes:
    if document.last_event is None or not document.step:
        return b""
    try:
        return bytes(model.encoder.encode([document.last_event])[0].tobytes())
    except CarryoverError as error:
        raise InvalidMemory(f"last_event: {error.detail}") from error


def _wrong_network(document: MemoryDocument, family: Sequence[Model]) -> WrongNetwork:
    served = ", ".join(model.fingerprint.hex() for model in family)
    return WrongNetwork(
        f"the memory was made by the network {document.network[:80]!r}; served are "
        f"{served}. A memory fits the weights that made it and no others: serve that "
        "version."
    )


def write_json(document: MemoryDocument) -> bytes:
    """Write a document as JSON; every number reads back as the float32 it was."""
    return orjson.dumps(to_object(document), option=JSON_OPTIONS)


def to_object(document: MemoryDocument) -> dict[str, Any]:
    """Return what JSON shows of a document."""
    names = document.__struct_fields__
    return {n: getattr(document, n) for n in names if n != "ttl_seconds"}


def read_json(data: bytes) -> MemoryDocument:
    """Read a document from JSON.

    Raises:
        InvalidJson: It is no JSON.
        UnknownField: It has another field.
        InvalidMemory: A field has another type.
    """
    try:
        return msgspec.json.decode(data, type=MemoryDocument)
    except msgspec.ValidationError as error:
        raise wrong_form(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidJson(
            f"the memory is no JSON ({str(error)[:120]}); expected an object as GET "
            f".../memory answers it, or a file with Content-Type: {SAFETENSORS}."
        ) from None


def read_object(value: Any) -> MemoryDocument:
    """Read a document from parsed JSON.

    Raises:
        UnknownField: It has another field.
        InvalidMemory: A field has another type.
    """
    try:
        return msgspec.convert(value, MemoryDocument)
    except msgspec.ValidationError as error:
        raise wrong_form(error) from None


def wrong_form(error: msgspec.ValidationError) -> InvalidMemory | UnknownField:
    """Turn a failed check into a sentence that says how to fix it."""
    text = str(error).replace("`", "'").replace("$", "memory document")
    fields = ", ".join(MemoryDocument.__struct_encode_fields__)
    sentence = f"the memory does not have the right form: {text}. Its fields: {fields}."
    return (UnknownField if "unknown field" in text else InvalidMemory)(sentence)


def write_safetensors(document: MemoryDocument) -> bytes:
    """Write a document as a safetensors file."""
    metadata = {
        "model": str(document.model),
        "model_version": str(document.model_version),
        "network": document.network,
        "step": str(document.step),
        "last_event": orjson.dumps(document.last_event).decode(),
    }
    # Copies: of arrays that are cut out of a larger one it would write the larger one.
    return save({n: np.array(a) for n, a in document.memory.items()}, metadata)


def read_safetensors(data: bytes) -> MemoryDocument:
    """Read a document from a safetensors file.

    Raises:
        UnknownField: The metadata has another field.
        InvalidMemory: It is no such file, or its metadata lack a field.
    """
    try:
        arrays = load(data)
        size = int.from_bytes(data[:LENGTH_BYTES], "little")
        header = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + size])
        fields: dict[str, Any] = dict(header.get(METADATA, {}))
        for name in ("step", "ttl_seconds", "last_event"):
            if name in fields:
                fields[name] = json.loads(fields[name])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidMemory(
            f"the body is no safetensors file this service can read "
            f"({str(error)[:120]}); expected one as GET .../memory answers it, with "
            "network and step in its metadata."
        ) from None
    document = read_object({**fields, "memory": {}})
    document.memory = arrays
    return document
