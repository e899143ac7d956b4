"""Schemas of the v2 dialect: infer requests, what was read from them, and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from service.common import value as values
from service.engine.rows import Row

# No tensor within a body is longer; it keeps products of a shape small.
MAX_DIM = 2**31 - 1
Dim = Annotated[int, msgspec.Meta(ge=0, le=MAX_DIM)]
Value = str | int | float | bool
Parameters = dict[str, Value]


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
    """What the parameters say of memory.

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
