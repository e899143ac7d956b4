"""`POST /v1/models/{model}[/versions/{n}]:predict` and `:explain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from flask import Blueprint, Response, g, request
from gunicorn.http.errors import ParseException

from service.catalog import Model
from service.current import find_model, services
from service.dialects import v1, v1_answer
from service.dialects.v1_forms import PredictBody
from service.dialects.v1_schema import Predictions, RowAnswer
from service.dialects.v1_texts import reword, servable_not_found
from service.errors import (
    BodyTooLarge,
    CarryoverError,
    Conflict,
    CorruptRecord,
    InvalidRequest,
    ModelNotFound,
    NonFiniteResult,
    NotServed,
    SessionGone,
    StoreFull,
    TokenExpired,
    TooManyEvents,
    VersionNotFound,
)
from service.idempotency import Idempotency, fingerprint_request, parse_key
from service.openapi import Parameter, describes
from service.problems import JSON, TOO_LARGE, problem_response
from service.rows import Outcome, Refused, Result, Row
from service.runtime import Signature
from service.views.v1_examples import predict_examples

blueprint = Blueprint("predict", __name__)

PATHS = (
    "/v1/models/<model:name>:{verb}",
    "/v1/models/<model:name>/versions/<int:version>:{verb}",
    "/v1/models/<model:name>/labels/<label:label>:{verb}",
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    str,
    "Names the request: repeated under the same key, it is answered but not applied "
    "again. A quoted string, such as a UUID in quotes.",
)
ROWS: dict[str, Any] = {
    "body": PredictBody,
    "body_schema": {"oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}]},
    "answer": Predictions,
    "parts": [RowAnswer],
    "examples": predict_examples,
    "parameters": [IDEMPOTENCY_KEY],
    "errors": [
        InvalidRequest,
        ModelNotFound,
        VersionNotFound,
        SessionGone,
        TokenExpired,
        Conflict,
        NonFiniteResult,
        CorruptRecord,
        StoreFull,
    ],
}
NOT_SERVED = (
    "{verb} takes tf.Example protocol buffers, which this service does not serve. Send "
    "the same events to :predict; top and threshold name the labels."
)


@blueprint.post(PATHS[0].format(verb="predict"))
@blueprint.post(PATHS[1].format(verb="predict"))
@blueprint.post(PATHS[2].format(verb="predict"))
@describes("predict", **ROWS)
def predict(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Advance the rows and answer what the network says after them."""
    return answer(name, version, label, "advance")


@blueprint.post(PATHS[0].format(verb="explain"))
@blueprint.post(PATHS[1].format(verb="explain"))
@blueprint.post(PATHS[2].format(verb="explain"))
@describes("predict", **ROWS)
def explain(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Do what predict does, and show every gate and memory."""
    return answer(name, version, label, "explain")


@blueprint.post(PATHS[0].format(verb="classify"))
@blueprint.post(PATHS[1].format(verb="classify"))
@blueprint.post(PATHS[2].format(verb="classify"))
@describes("predict", errors=[NotServed])
def classify(
    name: str, version: int | None = None, label: str | None = None
) -> NoReturn:
    """Refuse TensorFlow Serving's call for tf.Example, and name the one to use."""
    raise NotServed(NOT_SERVED.format(verb="classify"))


@blueprint.post(PATHS[0].format(verb="regress"))
@blueprint.post(PATHS[1].format(verb="regress"))
@blueprint.post(PATHS[2].format(verb="regress"))
@describes("predict", errors=[NotServed])
def regress(
    name: str, version: int | None = None, label: str | None = None
) -> NoReturn:
    """Refuse TensorFlow Serving's call for tf.Example, and name the one to use."""
    raise NotServed(NOT_SERVED.format(verb="regress"))


def find_servable(name: str, version: int | None, label: str | None) -> Model:
    """Find a model to run; where there is none, in TensorFlow Serving's words."""
    try:
        return find_model(name, version, label)
    except (ModelNotFound, VersionNotFound) as error:
        error.members["error"] = servable_not_found(name[:80], version)
        raise


def answer(
    name: str, version: int | None, label: str | None, signature: Signature
) -> Response:
    """Parse, advance, render."""
    model = find_servable(name, version, label)
    if label is not None:
        version = model.manifest.version
    settings, explain = services().settings, signature == "explain"
    data = read_body()
    parsed = v1.parse(
        data,
        model,
        max_rows=settings.max_rows,
        explain=explain,
        idempotency=read_idempotency(data, signature, version),
    )
    rows = [parsed_row.row for parsed_row in parsed.rows]
    g.rows = len(rows)
    if explain:
        limit_events(rows, settings.max_explained_events, "explained")
    elif not parsed.options.is_last_only:
        limit_events(rows, settings.max_returned_events, "returned")
    results = services().engine.advance(
        model,
        rows,
        signature=signature,
        is_version_named=version is not None,
        timeout_seconds=settings.request_timeout_seconds,
    )
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if failures:
        reword(parsed, results)
    if len(failures) == len(results):
        return problem_response(*failures)
    body = v1_answer.render(parsed, results, model, explain=explain)
    response = Response(body, mimetype=JSON)
    if is_replayed(rows, results):
        response.headers["Idempotency-Replayed"] = "true"
    return response


def read_idempotency(
    data: bytes, signature: Signature, version: int | None
) -> Idempotency | None:
    """Read the request's idempotency key and digest what it asks for."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    fingerprint = fingerprint_request(data, signature, str(version))
    return Idempotency(parse_key(header), fingerprint)


def is_replayed(rows: Sequence[Row | Refused], results: Sequence[Result]) -> bool:
    """Tell whether every row of a session had its answer from an earlier request."""
    of_sessions = [
        isinstance(result, Outcome) and result.is_replayed
        for row, result in zip(rows, results, strict=True)
        if row.session is not None
    ]
    return bool(of_sessions) and all(of_sessions)


def read_body() -> bytes:
    """Read the request's body, whole or not at all.

    Raises:
        BodyTooLarge: It is longer than the service accepts.
        InvalidRequest: It ended before its announced length, or cannot be read.
    """
    limit = services().settings.max_body_bytes
    try:
        data = request.get_data(cache=False)
    except (OSError, ParseException) as error:  # a lost connection, a broken chunk
        raise InvalidRequest(f"the body cannot be read: {error}.") from error
    announced = request.content_length
    if announced is None and len(data) >= limit:
        raise BodyTooLarge(TOO_LARGE.format(limit=limit), max_body_bytes=limit)
    if announced is not None and len(data) != announced:
        raise InvalidRequest(
            f"the body ended after {len(data)} of {announced} bytes; nothing was "
            "applied. Send it again."
        )
    return data


def limit_events(rows: Sequence[Row | Refused], max_events: int, what: str) -> None:
    """Refuse answers about more events than one can reasonably hold.

    Raises:
        TooManyEvents: The rows hold more events together.
    """
    events = sum(len(row.sequence) for row in rows if isinstance(row, Row))
    if events > max_events:
        raise TooManyEvents(
            f"the rows hold {events} events; at most {max_events} are {what} one by "
            "one in a request. Split them over several requests of a session.",
            max_events=max_events,
        )
