"""The form of the v1 dialect's answers (docs/reference/http-v1.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

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


class Choice(msgspec.Struct):
    """One of the most probable labels."""

    label: str
    probability: float


class LayerDigest(msgspec.Struct):
    """What the gates of one layer come to; empty for a cell without gates."""

    mean_forget: float | UnsetType = UNSET
    half_life_events: float | UnsetType | None = UNSET
    saturated: dict[str, float] | UnsetType = UNSET


class Digest(msgspec.Struct):
    """What an explanation comes to, and where its prediction is from."""

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
