"""The forms of a memory in the open: JSON, and safetensors.

Both hold the same document; in a safetensors file, what is no tensor is in the
metadata, as text. Knows media types; neither Flask nor the manifest.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import orjson
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.errors import InvalidJson, InvalidMemory, UnknownField
from service.sessions.state_export import MemoryDocument

JSON = "application/json"
# None is registered for safetensors.
SAFETENSORS = "application/vnd.safetensors"
# The file begins with the length of its JSON header, 64-bit little-endian.
LENGTH_BYTES = 8
METADATA = "__metadata__"
JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


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
