"""The form of the v2 dialect's answers, as its other files write them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from service.api.v2.schema import Parameters


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
    """How often a version was called, and how long its parts took in nanoseconds."""

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
