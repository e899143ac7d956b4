"""The v2 dialect's tensors: what a model takes and answers, as Open Inference names it.

Knows the schemas of a manifest; neither values nor JSON.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from service.registry.artifact import Manifest

# Of every datatype of the protocol: how its elements lie in the binary form.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
BYTES = "BYTES"
DATATYPES = (*DTYPES, BYTES)
# How many events of a padded row are its own: an input that may be left out.
LENGTH = "length"
LENGTH_DATATYPES = ("INT32", "INT64")
# What a tensor of each kind is shown as.
SHOWN = {
    "event": BYTES,
    "time": BYTES,
    "category": BYTES,
    "index": "INT32",
    "number": "FP32",
    "vector": "FP32",
}


class Tensor(NamedTuple):
    """A tensor of a model; -1 stands for a size that varies.

    Attributes:
        name: Its name.
        datatype: Its datatype.
        shape: Its shape, the batch first.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


def field_schemas(manifest: Manifest) -> list[dict[str, Any]]:
    """Return what describes each input tensor, with its `name` and `type`."""
    schema = manifest.input
    if schema["kind"] == "record":
        return list(schema["fields"])
    return [{**schema, "name": "sequence", "type": schema["kind"]}]


def list_inputs(manifest: Manifest) -> list[Tensor]:
    """List what a model takes; `length`, which may be left out, is not among it."""
    inputs = []
    for field in field_schemas(manifest):
        size = (field["size"],) if field["type"] == "vector" else ()
        inputs.append(Tensor(field["name"], SHOWN[field["type"]], (-1, -1, *size)))
    return inputs


def list_outputs(manifest: Manifest) -> list[Tensor]:
    """List what a model answers, after the last event of each row."""
    outputs = [Tensor(manifest.output["name"], "FP32", (-1, *main_shape(manifest)))]
    for name in manifest.output.get("others", ()):
        outputs.append(Tensor(name, "FP32", (-1, -1)))
    if manifest.output["kind"] == "next_event":
        outputs.append(Tensor("surprise", "FP32", (-1, -1)))
    if manifest.labels is not None and manifest.threshold is not None:
        outputs.append(Tensor("decided", "BOOL", (-1, len(manifest.labels))))
    return outputs


def main_shape(manifest: Manifest) -> tuple[int, ...]:
    """Return the shape of a row's main output, as far as the manifest knows it."""
    output = manifest.output
    if manifest.labels is not None:
        return (len(manifest.labels),)
    if "horizon" in output:
        quantiles = output.get("quantiles")
        return (output["horizon"], *((len(quantiles),) if quantiles else ()))
    return (-1,)
