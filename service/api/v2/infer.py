"""`infer` of the v2 dialect, from bytes to an answer.

One function for the two ways a request comes in, as `service.api.v1.predict` has for
v1. Knows the dialect, the codings and the engine; the web framework is the callers'
business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from service.api.body import reserve
from service.api.compression import COMPRESS, choose_coding, decompress
from service.api.context import find_model, measure, read_body, services, tenant
from service.api.openapi import describes
from service.api.openapi.operation import Example, example_events
from service.api.problems import JSON, ROW_ERRORS, Answer, limit_events
from service.api.responses import respond
from service.api.v2.parse import parse_body
from service.api.v2.render import RenderedBody, render_body, word_error
from service.api.v2.schema import Form, InferAnswer, ParsedInfer, list_inputs
from service.common.loop import LARGE_BYTES, long_work, offload
from service.common.value import Value
from service.engine.engine import Engine, is_replayed
from service.engine.idempotency import parse_key
from service.engine.job import Timings
from service.engine.rows import Outcome, Result
from service.errors import CarryoverError, InvalidRequest
from service.registry.catalog import Model
from service.settings import Settings
from service.telemetry.statistics import CallStatistics, Times

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
MAX_DIGITS = 12
# Compressed in about a millisecond.
LONG_BYTES = 65_536
blueprint = Blueprint("v2", __name__, url_prefix="/v2")


class InferRequest(Value, frozen=True):
    """Request of an infer call without its body.

    Args:
        model: Which network it is for.
        tenant: Whom its sessions belong to.
        version: The version its address names, if any.
        key: Its `Idempotency-Key` header, if any.
        header_length: Its `Inference-Header-Content-Length` header, if any.
        coding: Its `Content-Encoding` header; empty for none.
        accepted: Its `Accept-Encoding` header; empty for none.
        reserve: Makes room for a number of bytes of its body, decompressed.
        timings: Where to measure what its time is spent on, if anybody asks.
    """

    model: Model
    tenant: str
    version: int | None
    key: str | None
    header_length: str | None
    coding: str
    accepted: str
    reserve: Callable[[int], None]
    timings: Timings | None = None


class Parts(Value, frozen=True):
    """The parts of the service that the call uses."""

    engine: Engine
    settings: Settings
    statistics: CallStatistics


def answer_infer(parts: Parts, asked: InferRequest, data: bytes) -> Answer:
    """Answer a request, and count it.

    Raises:
        CarryoverError: The request cannot be answered.
    """
    began = time.perf_counter_ns()
    manifest = asked.model.manifest
    try:
        answer, times = answer_request(parts, asked, data, began)
    except CarryoverError:
        taken = time.perf_counter_ns() - began
        parts.statistics.record_failure(manifest.name, manifest.version, taken)
        raise
    num_rows = answer.num_rows or 0
    parts.statistics.record_success(manifest.name, manifest.version, num_rows, times)
    return answer


def answer_request(
    parts: Parts, asked: InferRequest, data: bytes, began: int
) -> tuple[Answer, Times]:
    """Parse, advance, render; return the time of each."""
    settings, content = parts.settings, data
    if asked.coding:
        most = settings.max_body_bytes
        content = decompress(data, asked.coding, max_bytes=most, reserve=asked.reserve)
    length = asked.header_length
    parsed = parse_body(
        content,
        None if length is None else read_header_length(length),
        asked.model,
        max_rows=settings.max_rows,
        key=None if asked.key is None else parse_key(asked.key),
        scope=f"v2 infer {asked.version}",
        timeout_seconds=settings.request_timeout_seconds,
    )
    if not parsed.memory.is_last_only:
        limit_events(parsed.rows, settings.max_returned_events, "returned")
    read, timings = time.perf_counter_ns(), asked.timings or Timings()
    results = parts.engine.advance(
        asked.model,
        parsed.rows,
        tenant=asked.tenant,
        is_version_named=asked.version is not None,
        timeout_seconds=settings.request_timeout_seconds,
        timings=timings,
    )
    advanced = time.perf_counter_ns()
    outcomes = require_outcomes(results, parsed, asked.model)
    if parsed.memory.is_last_only or len(content) <= LARGE_BYTES:
        rendered = render_body(parsed, outcomes, asked.model)
    else:
        with long_work(len(content)):
            rendered = render_body(parsed, outcomes, asked.model)
    answer = write(rendered, asked.accepted, len(outcomes))
    if is_replayed(parsed.rows, results):
        answer.headers["Idempotency-Replayed"] = "true"
    written = time.perf_counter_ns()
    queue = round(timings.queue * 1e9)
    engine = max(advanced - read - queue, 0)
    times = Times(queue, read - began, engine, written - advanced)
    return answer, times


def require_outcomes(
    results: Sequence[Result], parsed: ParsedInfer, model: Model
) -> list[Outcome]:
    """Return the outcomes, if there is one for every row.

    The protocol has one answer for all rows. Where there are several they have no
    memory, so that a failed one leaves nothing half done.

    Raises:
        CarryoverError: That of the first row that failed.
    """
    outcomes: list[Outcome] = []
    for result in results:
        if isinstance(result, CarryoverError):
            raise word_error(result, parsed, model)
        outcomes.append(result)
    return outcomes


def read_header_length(value: str) -> int:
    """Read how many bytes of the body are JSON.

    Raises:
        InvalidRequest: It is not a whole number of at most `MAX_DIGITS` digits.
    """
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise InvalidRequest(
            f"{HEADER_LENGTH} is {value[:40]!r}; expected how many bytes of the body "
            "are JSON, or 0 for none."
        )
    return int(value)


def write(rendered: RenderedBody, accepted: str, num_rows: int) -> Answer:
    """Write the answer, compressed where the client accepts it."""
    body, headers = rendered.body, {"Vary": "Accept-Encoding"}
    if rendered.header_length is not None:
        headers[HEADER_LENGTH] = str(rendered.header_length)
    if accepted and (coding := choose_coding(accepted)):
        # zlib lets other threads run; a large body takes it many milliseconds.
        compress = COMPRESS[coding]
        is_long = len(body) > LONG_BYTES
        body = offload(compress, body) if is_long else compress(body)
        headers["Content-Encoding"] = coding
    mimetype = JSON if rendered.header_length is None else BINARY
    return Answer(200, body, mimetype, headers, num_rows=num_rows)


def infer_examples(model: Model) -> dict[str, Example]:
    """Show an infer call with and without a sequence."""
    inputs = example_inputs(model, 2)
    begins = {"sequence_id": 42, "sequence_start": True}
    return {
        "infer": Example("No memory", {"id": "1", "inputs": inputs}),
        "sequence": Example(
            "A sequence begins", {"inputs": inputs, "parameters": begins}
        ),
    }


def example_inputs(model: Model, num_events: int) -> list[dict[str, Any]]:
    """Write events of one row as tensors, one for each input."""
    events = example_events(model.manifest, num_events)
    is_record = model.manifest.input["kind"] == "record"
    return [
        {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": [1, num_events, *tensor.shape[2:]],
            "data": [event[tensor.name] if is_record else event for event in events],
        }
        for tensor in list_inputs(model.manifest)
    ]


@blueprint.post("/models/<model:name>/infer")
@blueprint.post("/models/<model:name>/versions/<version:version>/infer")
@describes(
    "inference",
    "predict",
    body=Form,
    answer=InferAnswer,
    more_answers=[BINARY],
    errors=ROW_ERRORS,
    examples=infer_examples,
)
def infer(name: str, version: int | None = None) -> Response:
    """Advance rows, in JSON or binary tensors, and the sequence they belong to."""
    served = services()
    asked = InferRequest(
        model=find_model(name, version),
        tenant=tenant(),
        version=version,
        key=request.headers.get("Idempotency-Key"),
        header_length=request.headers.get(HEADER_LENGTH),
        coding=request.headers.get("Content-Encoding", ""),
        accepted=request.headers.get("Accept-Encoding", ""),
        reserve=partial(reserve, request.environ, served.bodies, tenant()),
        timings=measure(),
    )
    parts = Parts(served.engine, served.settings, served.statistics)
    return respond(answer_infer(parts, asked, read_body()))
