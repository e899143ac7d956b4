"""`POST /v2/models/{model}[/versions/{n}]/infer`: the Open Inference Protocol."""

from __future__ import annotations

import time
from collections.abc import Sequence

from flask import Blueprint, Response, g, request

from service.catalog import Model
from service.compression import COMPRESS, choose_coding, decompress
from service.current import find_model, services
from service.dialects import v2, v2_answer
from service.dialects.v2_answer import Answer
from service.dialects.v2_described import InferAnswer
from service.dialects.v2_forms import Form, Request
from service.errors import CarryoverError, InvalidRequest
from service.idempotency import parse_key
from service.openapi import describes
from service.predicting import is_replayed, limit_events
from service.problems import JSON
from service.rows import Outcome, Result
from service.statistics import Times
from service.views.predict import ROWS, read_body
from service.views.v2_examples import infer_examples

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
MAX_DIGITS = 12

blueprint = Blueprint("v2", __name__, url_prefix="/v2")


@blueprint.post("/models/<model:name>/infer")
@blueprint.post("/models/<model:name>/versions/<int:version>/infer")
@describes(
    "inference",
    body=Form,
    answer=InferAnswer,
    more_answers=[BINARY],
    errors=ROWS["errors"],
    examples=infer_examples,
)
def infer(name: str, version: int | None = None) -> Response:
    """Advance rows, in JSON or binary tensors, and the sequence they belong to."""
    began = time.perf_counter_ns()
    model = find_model(name, version)
    try:
        return answer(model, version, began)
    except CarryoverError:
        taken = time.perf_counter_ns() - began
        statistics = services().statistics
        statistics.record_failure(name, model.manifest.version, taken)
        raise


def answer(model: Model, version: int | None, began: int) -> Response:
    """Parse, advance, render, and count what each took."""
    settings = services().settings
    parsed = v2.parse(
        read_decompressed(),
        read_header_length(),
        model,
        max_rows=settings.max_rows,
        key=read_key(),
        scope=f"v2 infer {version}",
    )
    g.rows = len(parsed.rows)
    if not parsed.memory.is_last_only:
        limit_events(parsed.rows, settings.max_returned_events, "returned")
    read = time.perf_counter_ns()
    results = services().engine.advance(
        model,
        parsed.rows,
        is_version_named=version is not None,
        timeout_seconds=settings.request_timeout_seconds,
    )
    advanced = time.perf_counter_ns()
    outcomes = require_outcomes(results, parsed, model)
    response = respond(v2_answer.render(parsed, outcomes, model))
    if is_replayed(parsed.rows, results):
        response.headers["Idempotency-Replayed"] = "true"
    written = time.perf_counter_ns()
    times = Times(read - began, advanced - read, written - advanced)
    manifest = model.manifest
    services().statistics.record_success(
        manifest.name, manifest.version, len(outcomes), times
    )
    return response


def require_outcomes(
    results: Sequence[Result], parsed: Request, model: Model
) -> list[Outcome]:
    """Return the outcomes, if there is one for every row.

    The protocol has one answer for all rows. Where there are several they have no
    memory, so that a failed one leaves nothing half done.
    """
    for result in results:
        if isinstance(result, CarryoverError):
            raise v2_answer.word_error(result, parsed, model)
    return [result for result in results if isinstance(result, Outcome)]


def read_decompressed() -> bytes:
    """Read the request's body, without its coding."""
    coding = request.headers.get("Content-Encoding", "")
    limit = services().settings.max_body_bytes
    return decompress(read_body(), coding, max_bytes=limit)


def read_key() -> str | None:
    """Read the idempotency key of the request's headers, if it has one."""
    header = request.headers.get("Idempotency-Key")
    return None if header is None else parse_key(header)


def read_header_length() -> int | None:
    """Read how many bytes of the body are JSON; None where all are."""
    value = request.headers.get(HEADER_LENGTH)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise InvalidRequest(
            f"{HEADER_LENGTH} is {value[:40]!r}; expected how many bytes of the body "
            "are JSON, or 0 for none."
        )
    return int(value)


def respond(answer: Answer) -> Response:
    """Write the response, compressed where the client accepts it."""
    body, headers = answer.body, {"Vary": "Accept-Encoding"}
    if answer.header_length is not None:
        headers[HEADER_LENGTH] = str(answer.header_length)
    if coding := choose_coding(request.headers.get("Accept-Encoding", "")):
        body = COMPRESS[coding](body)
        headers["Content-Encoding"] = coding
    mimetype = JSON if answer.header_length is None else BINARY
    return Response(body, headers=headers, mimetype=mimetype)
