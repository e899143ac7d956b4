"""Schemas of the v1 dialect: bodies, rows and answers as structs.

The structs of requests check them while they are parsed; all of them describe the calls
in the OpenAPI document. They do not depend on a model.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.common.value import Value
from service.engine.rows import Refused, Row
from service.sessions.record import MAX_SESSION_BYTES

# A year: longer than any sensor sleeps, short enough that a slip of unit is noticed.
MAX_TTL_SECONDS = 366 * 86_400
# JavaScript's and the wire's: larger integers lose digits on their way.
MAX_COUNT = 2**53

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Seconds = Annotated[float, Meta(gt=0, le=MAX_TTL_SECONDS)]
Returned = Literal["last", "all"]
Top = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Threshold = Annotated[float, Meta(ge=0, le=1)]
SessionId = Annotated[str, Meta(max_length=MAX_SESSION_BYTES)]
# OpenVINO Model Server's tensors are of shape [1]; a number alone says the same.
# A bound of this size cannot be checked while parsing; `v1_sequence` does.
UInt64 = Annotated[int, Meta(ge=0, extra_json_schema={"maximum": 2**64 - 1})]
SequenceId = UInt64 | str | Annotated[list[UInt64 | str], Meta(min_length=1)]
Control = Literal[0, 1, 2]
Controls = Control | Annotated[list[Control], Meta(min_length=1)]
Numbers = list[Any] | float
# A model's outputs have names of their own, and a refused row has its problem. That
# comes first, for clients that take the first form that fits: it may have a step too.
ROW = {
    "anyOf": [
        {"type": ["array", "number"]},
        {"$ref": "#/components/schemas/Problem"},
        {"$ref": "#/components/schemas/RowAnswer"},
        {"type": "object", "additionalProperties": {"type": ["array", "number"]}},
    ]
}
FORECAST = {
    "anyOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"$ref": "#/components/schemas/ForecastAnswer"},
    ]
}


class ObjectRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row with options; a bare row is its `sequence` alone."""

    sequence: list[Any]
    session: SessionId | UnsetType = UNSET
    memory: str | dict[str, Any] | UnsetType | None = UNSET
    at: Count | None = None
    start: bool = False
    end: bool = False
    ttl_seconds: Seconds | None = None
    sequence_id: SequenceId | UnsetType = UNSET
    sequence_control_input: Controls | UnsetType = UNSET


class PredictBody(
    msgspec.Struct, forbid_unknown_fields=True, rename={"returned": "return"}
):
    """The body of `:predict` and `:explain`: rows, or columns."""

    instances: list[ObjectRow | list[Any]] | UnsetType = UNSET
    inputs: list[Any] | dict[str, Any] | UnsetType = UNSET
    returned: Returned = "last"
    top: Top | None = None
    threshold: Threshold | None = None
    signature_name: str = "serving_default"
    memory_format: Literal["sealed", "plain"] = "sealed"


class Options(NamedTuple):
    """Body options that say how the answers to all rows are written.

    Attributes:
        is_last_only: Whether only the last timestep's outputs are shown.
        top: How many most probable labels are named, if any.
        threshold: Probability from which a label is decided, as a float32 has it.
        is_columnar: Whether the body came in columns, and the answer goes so.
    """

    is_last_only: bool
    top: int | None
    threshold: float | None
    is_columnar: bool = False


class ParsedRow(Value, frozen=True, eq=False):
    """A row for the engine, and what is known of it besides.

    Args:
        row: The row.
        is_bare: Whether it came without options.
        sequence_id: The sequence id it came with.
        warning: What its answer has to warn of.
    """

    row: Row | Refused
    is_bare: bool = False
    sequence_id: int | str | None = None
    warning: str | None = None


class ParsedPredict(Value, frozen=True):
    """A parsed body."""

    options: Options
    rows: list[ParsedRow]

    @property
    def warnings(self) -> list[str]:
        """The warnings of the answer."""
        return [parsed.warning for parsed in self.rows if parsed.warning]


class Choice(msgspec.Struct):
    """One of the most probable labels."""

    label: str
    probability: float


class LayerDigest(msgspec.Struct):
    """Summary of one layer's gates; empty for a cell without gates."""

    mean_forget: float | UnsetType = UNSET
    half_life_events: float | UnsetType | None = UNSET
    saturated: dict[str, float] | UnsetType = UNSET


class Digest(msgspec.Struct):
    """Summary of an explanation, and the origin of its prediction."""

    layers: list[LayerDigest]
    event: Numbers | UnsetType = UNSET
    memory: Numbers | UnsetType = UNSET


class RowAnswer(msgspec.Struct):
    """The answer of an object row; its outputs stand under the model's own names."""

    step: Annotated[int, Meta(ge=1)]
    probabilities: list[Any] | UnsetType = UNSET
    forecast: list[Any] | UnsetType = UNSET
    values: Numbers | UnsetType = UNSET
    session: str | UnsetType = UNSET
    sequence_id: int | str | UnsetType = UNSET
    ended: Literal[True] | UnsetType = UNSET
    memory: str | dict[str, Any] | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    surprise: list[float | None] | UnsetType = UNSET
    top: list[Choice | list[Choice]] | UnsetType = UNSET
    decided: list[str | list[str]] | UnsetType = UNSET
    layers: list[dict[str, list[list[float]]]] | UnsetType = UNSET
    digest: Digest | UnsetType = UNSET
    model_version: str | UnsetType = UNSET
    labels: list[str] | UnsetType = UNSET
    migrated_from: str | UnsetType = UNSET
    reset: Literal[True] | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class Predictions(msgspec.Struct):
    """The answer to `instances`, and to `inputs`, which has `outputs` instead."""

    model_version: str
    predictions: list[Annotated[Any, Meta(extra_json_schema=ROW)]] | UnsetType = UNSET
    outputs: list[Any] | dict[str, list[Any]] | UnsetType = UNSET
    labels: list[str] | UnsetType = UNSET
    quantiles: list[float] | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class ForecastPath(msgspec.Struct):
    """Events that may come next, each with its probability when it was next."""

    events: list[str]
    probabilities: list[float]
    log_probability: float


class ForecastAnswer(msgspec.Struct):
    """A row's forecast: the most probable path, or samples."""

    step: int
    model_version: str
    path: ForecastPath | UnsetType = UNSET
    samples: list[ForecastPath] | UnsetType = UNSET
    session: str | UnsetType = UNSET
    migrated_from: str | UnsetType = UNSET
    reset: Literal[True] | UnsetType = UNSET


class Forecasts(msgspec.Struct):
    """The answer of a forecast."""

    model_version: str
    predictions: list[Annotated[Any, Meta(extra_json_schema=FORECAST)]]
    seed: int | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET
