"""The v2 dialect's raw form: a body that is the one input of a model, without JSON."""

from __future__ import annotations

from service.api.v2.schema import Column, Form, InputForm
from service.api.v2.tensor_schema import BYTES, DTYPES, list_inputs
from service.api.v2.tensors import read_binary, write_texts
from service.errors import InvalidRequest
from service.registry.catalog import Model


def read_raw(data: bytes, model: Model) -> tuple[Form, list[Column]]:
    """Read a body that is the one input of a model, one row of it.

    A body for a model of names is a lone name, or names in the binary form of BYTES.
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
    """Cut a body into names: as the binary form has them, or else it is one name."""
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
