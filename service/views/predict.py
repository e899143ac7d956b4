"""`POST /v1/models/{model}[/versions/{n}]:predict` and `:explain`."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, g, request
from gunicorn.http.errors import ParseException

from service.catalog import Model
from service.current import find_model, services
from service.dialects import v1, v1_answer
from service.errors import (
    BodyTooLarge,
    CarryoverError,
    InvalidRequest,
    TooManyEvents,
)
from service.problems import JSON, TOO_LARGE, problem_response
from service.rows import Refused, Row
from service.runtime import Signature

blueprint = Blueprint("predict", __name__)

PATHS = (
    "/v1/models/<model:name>:{verb}",
    "/v1/models/<model:name>/versions/<int:version>:{verb}",
)


@blueprint.post(PATHS[0].format(verb="predict"))
@blueprint.post(PATHS[1].format(verb="predict"))
def predict(name: str, version: int | None = None) -> Response:
    """Advance the rows and answer what the network says after them."""
    return answer(find_model(name, version), "advance")


@blueprint.post(PATHS[0].format(verb="explain"))
@blueprint.post(PATHS[1].format(verb="explain"))
def explain(name: str, version: int | None = None) -> Response:
    """Do what predict does, and show every gate and memory."""
    return answer(find_model(name, version), "explain")


def answer(model: Model, signature: Signature) -> Response:
    """Parse, advance, render."""
    settings = services().settings
    parsed = v1.parse(read_body(), model, max_rows=settings.max_rows)
    rows = [parsed_row.row for parsed_row in parsed.rows]
    g.rows = len(rows)
    if signature == "explain":
        limit_events(rows, settings.max_explained_events, "explained")
    elif not parsed.options.is_last_only:
        limit_events(rows, settings.max_returned_events, "returned")
    results = services().engine.advance(
        model,
        rows,
        signature=signature,
        timeout_seconds=settings.request_timeout_seconds,
    )
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if len(failures) == len(results):
        return problem_response(*failures)
    body = v1_answer.render(parsed, results, model, explain=signature == "explain")
    return Response(body, mimetype=JSON)


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
