"""The v1 dialect's answers: outcomes to the JSON of `:predict` and `:explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from service.api.long_json import JSON_OPTIONS, in_pieces, write
from service.api.problems import problem
from service.api.v1.columns import to_columns
from service.api.v1.explanation import render_digest, render_layers
from service.api.v1.row_texts import MIN_ROWS, write_texts
from service.api.v1.schema import Options, ParsedPredict, ParsedRow
from service.api.v1.spelling import WORDING, Wording, prepare_wording
from service.common.loop import Breaks, take_break
from service.common.text import format_time
from service.engine.rows import Outcome, Refused, Result, Row
from service.errors import CarryoverError
from service.registry.catalog import Model
from service.sessions.state_export import to_object

# Rows of a last timestep that are written at a time.
PIECE_ROWS = 64


def render_body(
    request: ParsedPredict, results: Sequence[Result], model: Model, *, explain: bool
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
    if len(results) == 1 and isinstance(results[0], Outcome):
        model = results[0].model or model
    else:
        model = find_common(results, model)
    if request.options.is_last_only and not explain and len(results) <= PIECE_ROWS:
        return render_all(request, results, model, explain)
    with Breaks():
        return render_all(request, results, model, explain)


def render_all(
    request: ParsedPredict, results: Sequence[Result], model: Model, explain: bool
) -> bytes:
    """Write all rows, and what follows them; see `render_body`."""
    wording: Wording = model.prepared.get(WORDING) or prepare_wording(model)
    tail = wording.tail
    # Most models refuse what they do not know.
    if model.encoder.unknown is not None and (warnings := request.warnings):
        tail = b',"warnings":' + orjson.dumps(warnings) + tail
    if request.options.is_columnar:
        return b'{"outputs":' + render_columns(request, results, model, explain) + tail
    rows = render_rows(request, results, model, explain)
    return b'{"predictions":[' + rows + b"]" + tail


def render_rows(
    request: ParsedPredict, results: Sequence[Result], model: Model, explain: bool
) -> bytes:
    """Write the answers of rows, some at a time, with breaks."""
    options = request.options
    pieces: list[bytes] = []
    is_short = options.is_last_only and not explain
    size = PIECE_ROWS if is_short else 1
    for start in range(0, len(results), size):
        rows = request.rows[start : start + size]
        ended = results[start : start + size]
        texts = None
        if is_short and len(rows) >= MIN_ROWS:
            texts = write_texts(rows, ended, options, model)
        if texts is None:
            answers: list[Any] = []
            for parsed, result in zip(rows, ended, strict=True):
                answers.append(render_row(parsed, result, options, model, explain))
            whole = answers if is_short else in_pieces(answers)
            texts = [orjson.dumps(whole, option=JSON_OPTIONS)[1:-1]]
        pieces += texts
        if len(results) > 1:
            take_break()
    return b",".join(pieces)


def render_columns(
    request: ParsedPredict, results: Sequence[Result], model: Model, explain: bool
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
    wording: Wording = model.prepared.get(WORDING) or prepare_wording(model)
    outputs, last = result.outputs, options.is_last_only
    answer = choose_outputs(outputs, wording.names, last)
    main = answer[wording.names[0]]
    if parsed.is_bare and not explain:
        return answer if len(answer) > 1 else main
    answer["step"] = result.step
    write_memory(answer, parsed, row, result)
    if model is not common or result.migrated_from is not None or result.is_reset:
        write_version(answer, result, model, common)
    if "surprise" in outputs:
        answer["surprise"] = render_surprise(result)
    if wording.labels is not None:
        decide(answer, main, wording.labels, options)
    if explain:
        layers = answer["layers"] = render_layers(outputs)
        answer["digest"] = render_digest(layers, outputs, model, last_only=last)
    return answer


def choose_outputs(
    outputs: Mapping[str, np.ndarray], names: Sequence[str], is_last_only: bool
) -> dict[str, Any]:
    """Take a model's outputs, laid out as orjson takes them."""
    chosen: dict[str, Any] = {}
    for name in names:
        array = outputs[name][-1] if is_last_only else outputs[name]
        # A number has no axis and needs no copy; most arrays are contiguous.
        is_whole = array.flags.c_contiguous
        chosen[name] = array if is_whole else np.ascontiguousarray(array)
    return chosen


def write_memory(
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


def write_version(
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
        name = name_reached if probabilities.ndim == 1 else name_decided
        answer["decided"] = name(probabilities.tolist(), labels, options.threshold)


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
