"""The v1 dialect's answers: outcomes to the JSON of `:predict` and `:explain`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
import orjson

from service.catalog import Model
from service.dialects.v1 import Options, ParsedRow, Request
from service.errors import CarryoverError
from service.problems import problem
from service.rows import Outcome, Refused, Result, Row
from service.times import format_time

# A line end, so that a shell's prompt does not stick to the answer.
JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
# What `explain` shows of a layer, in the order of the lesson; the names carry the
# layer's number behind an underscore.
TRACES = {
    "learn": "learn",
    "candidate": "candidate",
    "forget": "forget",
    "use": "use",
    "update": "update",
    "reset": "reset",
    "trace_long_term": "long_term",
    "trace_short_term": "short_term",
}


def render(
    request: Request, results: Sequence[Result], model: Model, *, explain: bool
) -> bytes:
    """Write the answer of a predict or explain call.

    Args:
        request: The parsed request.
        results: For each of its rows, the outcome or the error.
        model: Who answered.
        explain: Whether gates and memories are part of the answer.

    Returns:
        A JSON object with `predictions`, one per row, and `labels` or `quantiles` where
        there are any: what the last axis of a prediction means.
    """
    model = find_common(results, model)
    answer: dict[str, Any] = {
        "predictions": [
            render_row(parsed, result, request.options, model, explain=explain)
            for parsed, result in zip(request.rows, results, strict=True)
        ],
        "model_version": str(model.manifest.version),
    }
    if model.manifest.labels is not None:
        answer["labels"] = model.manifest.labels
    if "quantiles" in model.manifest.output:
        answer["quantiles"] = model.manifest.output["quantiles"]
    return orjson.dumps(answer, option=JSON_OPTIONS)


def find_common(results: Sequence[Result], model: Model) -> Model:
    """Find the one version that advanced all rows; the request's own if several did."""
    models = [r.model for r in results if isinstance(r, Outcome) and r.model]
    if len({one.manifest.version for one in models}) == 1:
        return models[0]
    return model


def render_row(
    parsed: ParsedRow,
    result: Result,
    options: Options,
    model: Model,
    *,
    explain: bool,
) -> Any:
    """Write one row's answer: bare values, an object, or a problem document."""
    row = parsed.row
    if isinstance(row, Refused):
        return problem(row.error)
    if isinstance(result, CarryoverError):
        return problem(result)
    common, model = model, result.model or model
    schema = model.manifest.output
    chosen = {
        name: choose(result.outputs[name], options)
        for name in (schema["name"], *schema.get("others", ()))
    }
    if parsed.is_bare and not explain:
        return chosen if "others" in schema else chosen[schema["name"]]
    answer = chosen | {"step": result.step} | render_memory(row, result)
    answer |= render_version(result, model, common)
    if "surprise" in result.outputs:
        answer["surprise"] = render_surprise(result)
    if model.manifest.labels is not None:
        answer |= decide(chosen[schema["name"]], model.manifest.labels, options)
    if explain:
        answer["layers"] = render_layers(result.outputs)
    return answer


def choose(output: np.ndarray, options: Options) -> np.ndarray:
    """Take the last timestep's output or all, as asked for."""
    return contiguous(output[-1] if options.is_last_only else output)


def render_memory(row: Row, outcome: Outcome) -> dict[str, Any]:
    """Tell where the memory is now, and until when."""
    answer: dict[str, Any] = {}
    if row.session is not None:
        answer["session"] = row.session
    if row.end:
        answer["ended"] = True
    if outcome.token is not None:
        answer["memory"] = outcome.token
    if outcome.expires_at is not None:
        answer["expires_at"] = format_time(outcome.expires_at)
    return answer


def render_version(outcome: Outcome, model: Model, common: Model) -> dict[str, Any]:
    """Tell which version advanced a row where it is not the body's, or has changed."""
    answer: dict[str, Any] = {}
    if model.manifest.version != common.manifest.version:
        answer["model_version"] = str(outcome.version)
        if model.manifest.labels != common.manifest.labels:
            answer["labels"] = model.manifest.labels
    if outcome.migrated_from is not None:
        answer["migrated_from"] = str(outcome.migrated_from)
    if outcome.is_reset:
        answer["reset"] = True
    return answer


def contiguous(array: np.ndarray) -> np.ndarray:
    """Lay an array out as orjson takes it; a number stays a number."""
    return np.ascontiguousarray(array) if array.ndim else array


def render_surprise(outcome: Outcome) -> list[float | None]:
    """Write -ln p of each arriving event; nothing was expected before the first."""
    # NumPy's own float32, not Python's float: its shortest digits are a third as many.
    surprise: list[float | None] = list(outcome.outputs["surprise"])
    if not outcome.is_continued:
        surprise[0] = None
    return surprise


def decide(
    probabilities: np.ndarray, labels: Sequence[str], options: Options
) -> dict[str, Any]:
    """Name the most probable labels, and those that reach the threshold.

    Returns:
        `top` and `decided` where asked for: one list, or one per timestep.
    """
    rows = np.atleast_2d(probabilities)
    answer: dict[str, list[Any]] = {}
    if options.top is not None:
        best = np.argsort(-rows, axis=-1, kind="stable")[:, : options.top]
        answer["top"] = [
            [{"label": labels[k], "probability": row[k]} for k in order]
            for row, order in zip(rows, best.tolist(), strict=True)
        ]
    if options.threshold is not None:
        passed = (rows >= options.threshold).tolist()
        answer["decided"] = [list(compress(labels, row)) for row in passed]
    if probabilities.ndim == 2:
        return answer
    return {name: steps[0] for name, steps in answer.items()}


def render_layers(outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Group gates and memories by layer, each of shape (timesteps, units)."""
    layers: list[dict[str, Any]] = []
    while f"trace_short_term_{len(layers)}" in outputs:
        index = len(layers)
        layers.append(
            {
                shown: contiguous(outputs[f"{name}_{index}"])
                for name, shown in TRACES.items()
                if f"{name}_{index}" in outputs
            }
        )
    return layers
