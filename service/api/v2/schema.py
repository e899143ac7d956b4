"""Schemas of the v2 dialect: tensors of a model, infer requests, and answers.

What a model takes and answers, as Open Inference names it, and what was read from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from service.common import value as values
from service.engine.rows import Row
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
# No tensor within a body is longer; it keeps products of a shape small.
MAX_DIM = 2**31 - 1
Dim = Annotated[int, msgspec.Meta(ge=0, le=MAX_DIM)]
Value = str | int | float | bool
Parameters = dict[str, Value]


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


class InputForm(msgspec.Struct):
    """An input tensor as it stands in the request."""

    name: str
    shape: list[Dim]
    datatype: str
    parameters: Parameters = {}
    data: msgspec.Raw | UnsetType = UNSET


class OutputForm(msgspec.Struct):
    """An output tensor that is asked for."""

    name: str
    parameters: Parameters = {}


class Form(msgspec.Struct):
    """The JSON of an infer request."""

    inputs: list[InputForm]
    id: str | None = None
    parameters: Parameters = {}
    outputs: list[OutputForm] | None = None


class Column(values.Value, frozen=True):
    """The values of an input tensor, row-major.

    Attributes:
        name: The tensor's name.
        datatype: Its datatype.
        shape: Its shape.
        values: Names of a BYTES tensor; else a flat array, in which numbers that came
            as JSON are float64 or int64.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[str] | np.ndarray


class Wanted(values.Value, frozen=True):
    """An output that is asked for: in which form, and of how many classes."""

    name: str
    is_binary: bool
    num_classes: int = 0


class Remembering(values.Value, frozen=True):
    """Parameters of a request that concern memory.

    Attributes:
        sequence_id: The id as it came; None where the request has none.
        session: The session of that id.
        start: Whether the sequence begins with this request.
        end: Whether it ends with it.
        at: The step the client believes the sequence is at.
        ttl_seconds: Idle lifetime asked for.
        key: Idempotency key, if there is one.
        token: Sealed memory; empty to begin with one, None for none.
        is_last_only: Whether outputs are wanted after the last event only.
    """

    sequence_id: int | str | None = None
    session: str | None = None
    start: bool = False
    end: bool = False
    at: int | None = None
    ttl_seconds: float | None = None
    key: str | None = None
    token: str | None = None
    is_last_only: bool = True


class ParsedInfer(values.Value, frozen=True):
    """A parsed infer request; `warning` is what its answer has to warn of."""

    rows: Sequence[Row]
    id: str | None
    memory: Remembering
    outputs: Sequence[Wanted]
    warning: str | None = None


class OutputTensor(msgspec.Struct):
    """An output tensor; its data follow the JSON where it has none."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET


class InferAnswer(msgspec.Struct):
    """The answer of an infer call."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET


class ServerMetadata(msgspec.Struct):
    """The server, and the extensions it speaks."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(msgspec.Struct):
    """A tensor; -1 stands for a size that varies."""

    name: str
    datatype: str
    shape: list[int]


class InferMetadata(msgspec.Struct):
    """A model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(msgspec.Struct):
    """A model that is served."""

    name: str
    ready: Literal[True]


class ModelConfiguration(msgspec.Struct):
    """A model, as Triton's model configuration describes one."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[dict[str, Any]]
    output: list[dict[str, Any]]
    sequence_batching: dict[str, Any]


class Statistics(msgspec.Struct):
    """Number of calls of a version, and durations of their parts in nanoseconds."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: dict[str, dict[str, int]]
    batch_stats: list[dict[str, Any]]


class ModelStatistics(msgspec.Struct):
    """The statistics of versions."""

    model_stats: list[Statistics]


class IndexEntry(msgspec.Struct):
    """A version in the folder of models."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str
