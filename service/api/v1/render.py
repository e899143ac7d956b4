"""The v1 dialect's answers: outcomes to the JSON of `:predict` and `:explain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from service.api.json_writing import JSON_OPTIONS, in_pieces, write
from service.api.problems import problem
from service.api.v1.columns import to_columns
from service.api.v1.explanation import render_digest, render_layers
from service.api.v1.row_texts import write_texts
from service.api.v1.schema import Options, ParsedRow, Request
from service.api.v1.wording import Wording, wording_of
from service.common.loop import NO_BREAKS, Breaks, take_break
from service.common.times import format_time
from service.engine.rows import Outcome, Refused, Result, Row
from service.errors import CarryoverError
from service.registry.catalog import Model
from service.sessions.state_formats import to_object

# Rows of a last timestep that are written at a time.
PIECE_ROWS = 64


def render_body(
    request: Request, results: Sequence[Result], model: Model, *, explain: bool
) -> bytes:
    """Write the answer of a predict or explain call.

    Args:
        request: The parsed request.
        results: For each of its rows, the outcome or the error.
        model: Who answered.
        explain: Whether gates and memories are part of the answer.

    Returns:
        A JSON object with `predictions`, one per row, or `outputs`, by name, and
        `labels` or `quantiles` where there are any: what the last axis of an output
        means.
    """
    model = find_common(results, model)
    wording, options = wording_of(model), request.options
    is_short = options.is_last_only and not explain
    with NO_BREAKS if is_short and len(results) <= PIECE_ROWS else Breaks():
        if options.is_columnar:
            outputs = render_columns(request, results, model, explain)
            return b'{"outputs":' + outputs + end_answer(request, model, wording)
        rows = render_rows(request, results, model, explain)
        return b'{"predictions":[' + rows + b"]" + end_answer(request, model, wording)


def end_answer(request: Request, model: Model, wording: Wording) -> bytes:
    """Write what follows the predictions: warnings, where there are any."""
    if model.encoder.unknown is None or not (warnings := request.warnings):
        return wording.tail
    return b',"warnings":' + orjson.dumps(warnings) + wording.tail


def render_rows(
    request: Request, results: Sequence[Result], model: Model, explain: bool
) -> bytes:
    """Write the answers of rows, some at a time, with breaks."""
    options = request.options
    pieces: list[bytes] = []
    is_short = options.is_last_only and not explain
    size = PIECE_ROWS if is_short else 1
    for start in range(0, len(results), size):
        rows = request.rows[start : start + size]
        ended = results[start : start + size]
        texts = write_texts(rows, ended, options, model) if is_short else None
        if texts is None:
            answers = [
                render_row(parsed, result, options, model, explain)
                for parsed, result in zip(rows, ended, strict=True)
            ]
            whole = answers if is_short else in_pieces(answers)
            texts = [orjson.dumps(whole, option=JSON_OPTIONS)[1:-1]]
        pieces += texts
        take_break()
    return b",".join(pieces)


def render_columns(
    request: Request, results: Sequence[Result], model: Model, explain: bool
) -> bytes:
    """Write the answers of rows as columns, one at a time, with breaks."""
    answers: list[Any] = []
    for parsed, result in zip(request.rows, results, strict=True):
        answer = render_row(parsed, result, request.options, model, explain)
        if isinstance(answer, dict):
            answers.append({name: write(value) for name, value in answer.items()})
        else:
            answers.append(write(answer))
        take_break()
    failed = [isinstance(result, CarryoverError) for result in results]
    return orjson.dumps(to_columns(answers, failed), option=JSON_OPTIONS)


def find_common(results: Sequence[Result], model: Model) -> Model:
    """Find the one version that advanced all rows; the request's own if several did."""
    if len(results) == 1 and isinstance(results[0], Outcome):
        return results[0].model or model
    models = {r.model for r in results if isinstance(r, Outcome) and r.model}
    if len({one.manifest.version for one in models}) == 1:
        return next(iter(models))
    return model


def render_row(
    parsed: ParsedRow,
    result: Result,
    options: Options,
    common: Model,
    explain: bool,
) -> Any:
    """Write one row's answer: bare values, an object, or a problem document."""
    row = parsed.row
    if isinstance(row, Refused):
        return problem(row.error)
    if isinstance(result, CarryoverError):
        return problem(result)
    model = result.model or common
    wording = wording_of(model)
    outputs, last = result.outputs, options.is_last_only
    answer: dict[str, Any] = {
        name: contiguous(outputs[name][-1] if last else outputs[name])
        for name in wording.names
    }
    main = answer[wording.names[0]]
    if parsed.is_bare and not explain:
        return answer if len(answer) > 1 else main
    answer["step"] = result.step
    tell_memory(answer, parsed, row, result)
    tell_version(answer, result, model, common)
    if "surprise" in outputs:
        answer["surprise"] = render_surprise(result)
    if wording.labels is not None:
        decide(answer, main, wording.labels, options)
    if explain:
        layers = answer["layers"] = render_layers(outputs)
        answer["digest"] = render_digest(layers, outputs, model, last_only=last)
    return answer


def tell_memory(
    answer: dict[str, Any], parsed: ParsedRow, row: Row, outcome: Outcome
) -> None:
    """Say where the memory is now, and until when."""
    if row.session is not None:
        answer["session"] = row.session
    if parsed.sequence_id is not None:
        answer["sequence_id"] = parsed.sequence_id
    if row.end:
        answer["ended"] = True
    if outcome.token is not None:
        answer["memory"] = outcome.token
    elif outcome.plain is not None:
        answer["memory"] = to_object(outcome.plain)
    if outcome.expires_at is not None:
        answer["expires_at"] = format_time(outcome.expires_at)


def tell_version(
    answer: dict[str, Any], outcome: Outcome, model: Model, common: Model
) -> None:
    """Name which version advanced a row where it is not the body's, or has changed."""
    if model is not common and model.manifest.version != common.manifest.version:
        answer["model_version"] = str(outcome.version)
        if model.manifest.labels != common.manifest.labels:
            answer["labels"] = model.manifest.labels
    if outcome.migrated_from is not None:
        answer["migrated_from"] = str(outcome.migrated_from)
    if outcome.is_reset:
        answer["reset"] = True


def contiguous(array: np.ndarray) -> np.ndarray:
    """Lay an array out as orjson takes it; a number stays a number."""
    # A number has no axis and needs no copy; most arrays are contiguous.
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def render_surprise(outcome: Outcome) -> list[float | None]:
    """Write -ln p of each arriving event; nothing was expected before the first."""
    # NumPy's own float32, not Python's float: its shortest digits are a third as many.
    surprise: list[float | None] = list(outcome.outputs["surprise"])
    if not outcome.is_continued:
        surprise[0] = None
    return surprise


def decide(
    answer: dict[str, Any],
    probabilities: np.ndarray,
    labels: Sequence[str],
    options: Options,
) -> None:
    """Name the most probable labels, and those that reach the threshold.

    `top` and `decided`, where asked for, are one list, or one per timestep.
    """
    if options.top is not None:
        best = np.argsort(-probabilities, axis=-1, kind="stable")[..., : options.top]
        answer["top"] = name_top(probabilities, best.tolist(), labels)
    if options.threshold is not None:
        answer["decided"] = name_decided(
            probabilities.tolist(), labels, options.threshold
        )


def name_top(numbers: np.ndarray, best: list[Any], labels: Sequence[str]) -> list[Any]:
    """Name the labels of the best positions, in lists nested as the numbers are."""
    if numbers.ndim > 1:
        named = []
        for part, order in zip(numbers, best, strict=True):
            named.append(name_top(part, order, labels))
            take_break()
        return named
    return [{"label": labels[k], "probability": numbers[k]} for k in best]


def name_decided(
    numbers: list[Any], labels: Sequence[str], threshold: float
) -> list[Any]:
    """Name the labels that reach a threshold, in lists nested as the numbers are."""
    if isinstance(numbers[0], list):
        named = []
        for part in numbers:
            named.append(name_decided(part, labels, threshold))
            take_break()
        return named
    return name_reached(numbers, labels, threshold)


def name_reached(
    values: Sequence[float], labels: Sequence[str], threshold: float
) -> list[str]:
    """Name the labels with a probability at or above a threshold."""
    if max(values) < threshold:
        return []
    return [
        label for label, value in zip(labels, values, strict=True) if value >= threshold
    ]
