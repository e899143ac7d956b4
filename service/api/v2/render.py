"""The v2 dialect's answers: outcomes to JSON, and to binary tensors after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from service.api.long_json import JSON_OPTIONS, in_pieces
from service.api.v2.input_plan import PLAN, InputPlan, prepare_plan
from service.api.v2.schema import ParsedInfer, Remembering, Wanted
from service.api.v2.tensors import write_texts
from service.common.text import format_time
from service.common.value import Value
from service.engine.rows import Outcome
from service.errors import CarryoverError, SequenceNotStarted
from service.registry.catalog import Model

NEVER_STARTED = (
    "inference request for sequence {id} to model '{model}' must specify the START "
    "flag on the first request of the sequence"
)


class RenderedBody(Value, frozen=True):
    """Body of an answer.

    Attributes:
        body: Its bytes.
        header_length: How many of them are JSON; None where all are.
    """

    body: bytes
    header_length: int | None


def render_body(
    request: ParsedInfer, outcomes: Sequence[Outcome], model: Model
) -> RenderedBody:
    """Write the answer of an infer call.

    Args:
        request: The parsed request.
        outcomes: What became of each of its rows.
        model: Who answered.
    """
    # A pinned memory may be another version's than the one that was asked.
    model = outcomes[0].model or model
    plan: InputPlan = model.prepared.get(PLAN) or prepare_plan(model)
    answer: dict[str, Any] = {
        "model_name": model.manifest.name,
        "model_version": str(model.manifest.version),
    }
    if request.id is not None:
        answer["id"] = request.id
    answer["parameters"] = render_parameters(request, outcomes, model)
    tails: list[bytes] = []
    outputs = answer["outputs"] = []
    for wanted in request.outputs:
        if wanted.name in plan.outputs:
            outputs.append(render_output(wanted, request, outcomes, model, plan, tails))
    head = orjson.dumps(answer, option=JSON_OPTIONS)
    if not tails:
        return RenderedBody(head, None)
    return RenderedBody(b"".join([head, *tails]), len(head))


def render_parameters(
    request: ParsedInfer, outcomes: Sequence[Outcome], model: Model
) -> dict[str, Any]:
    """Say where the memory is now, and until when."""
    parameters: dict[str, Any] = {"model_version": str(model.manifest.version)}
    if request.warning is not None:
        parameters["warning"] = request.warning
    if len(outcomes) > 1:
        return parameters
    parameters.update(render_memory(request.memory, outcomes[0]))
    return parameters


def render_memory(memory: Remembering, outcome: Outcome) -> dict[str, Any]:
    """Return the parameters that describe the memory of a request's one row."""
    record: dict[str, Any] = {"step": outcome.step}
    if memory.sequence_id is not None:
        record["sequence_id"] = memory.sequence_id
    if memory.end:
        record["sequence_end"] = True
    if outcome.is_restarted:
        record["sequence_restarted"] = True
    if outcome.migrated_from is not None:
        record["migrated_from"] = str(outcome.migrated_from)
    if outcome.is_reset:
        record["reset"] = True
    if outcome.token is not None:
        record["memory"] = outcome.token
    if outcome.expires_at is not None:
        record["expires_at"] = format_time(outcome.expires_at)
    return record


def render_output(
    wanted: Wanted,
    request: ParsedInfer,
    outcomes: Sequence[Outcome],
    model: Model,
    plan: InputPlan,
    tails: list[bytes],
) -> dict[str, Any]:
    """Describe one output; a binary one's bytes are appended to `tails`."""
    values = collect(wanted.name, request.memory, outcomes, plan)
    if wanted.num_classes:
        return render_classes(values, wanted, model, tails)
    output: dict[str, Any] = {
        "name": wanted.name,
        "datatype": "BOOL" if values.dtype == bool else "FP32",
        "shape": list(values.shape),
    }
    if wanted.is_binary:
        tails.append(values.tobytes())
        output["parameters"] = {"binary_data_size": len(tails[-1])}
    else:
        output["data"] = in_pieces(values.ravel())
    return output


def collect(
    name: str, memory: Remembering, outcomes: Sequence[Outcome], plan: InputPlan
) -> np.ndarray:
    """Lay an output of all rows into one tensor, padded where rows are shorter.

    Returns:
        float32 or bool of shape (batch, ...), or (batch, timesteps, ...) where all
        timesteps are wanted. Padding is 0, of surprise NaN.
    """
    if name == "surprise":
        return pad([surprise_of(outcome) for outcome in outcomes], np.nan)
    source = plan.main if name == "decided" else name
    if memory.is_last_only and len(outcomes) == 1:
        values = outcomes[0].outputs[source][-1:]
    elif not memory.is_last_only:
        values = pad([outcome.outputs[source] for outcome in outcomes], 0)
    else:
        outputs = [outcome.outputs[source] for outcome in outcomes]
        values = np.stack([output[-1] for output in outputs])
    if name == "decided":
        return np.asarray(values >= plan.threshold)
    return values.astype("<f4", copy=False)


def surprise_of(outcome: Outcome) -> np.ndarray:
    """Return -ln p of each arriving event; nothing was expected before the first."""
    surprise = outcome.outputs["surprise"]
    if outcome.is_continued:
        return surprise
    return np.concatenate([np.full_like(surprise[:1], np.nan), surprise[1:]])


def pad(rows: Sequence[np.ndarray], filler: float) -> np.ndarray:
    """Stack rows of different lengths, the shorter ones filled up at the end."""
    longest = max(map(len, rows))
    padded = np.full((len(rows), longest, *rows[0].shape[1:]), filler, "<f4")
    for k, row in enumerate(rows):
        padded[k, : len(row)] = row
    return padded


def render_classes(
    values: np.ndarray, wanted: Wanted, model: Model, tails: list[bytes]
) -> dict[str, Any]:
    """Name the largest values: BYTES `value:index:label`, the largest first."""
    rows = values.reshape(len(values), -1).astype(np.float32)
    order = np.argsort(-rows, axis=1, kind="stable")[:, : wanted.num_classes]
    labels = model.manifest.labels
    is_named = labels is not None and rows.shape[1] == len(labels)
    texts = [
        f"{row[k]:f}:{k}" + (f":{labels[k]}" if is_named and labels else "")
        for row, best in zip(rows, order.tolist(), strict=True)
        for k in best
    ]
    output: dict[str, Any] = {
        "name": wanted.name,
        "datatype": "BYTES",
        "shape": list(order.shape),
    }
    if wanted.is_binary:
        tails.append(write_texts(texts))
        output["parameters"] = {"binary_data_size": len(tails[-1])}
    else:
        output["data"] = texts
    return output


def word_error(
    error: CarryoverError, request: ParsedInfer, model: Model
) -> CarryoverError:
    """Give an error the text Triton's clients know it by."""
    if isinstance(error, SequenceNotStarted):
        error.members["error"] = NEVER_STARTED.format(
            id=request.memory.sequence_id, model=model.manifest.name
        )
    return error
