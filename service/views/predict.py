"""`POST /v1/models/{model}[/versions/{n}]:predict` and `:explain`."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, g, request

from service.catalog import Model
from service.current import find_model, services
from service.dialects import v1, v1_answer
from service.errors import CarryoverError, TooManyEvents
from service.problems import JSON, problem_response
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
    parsed = v1.parse(request.get_data(cache=False), model, max_rows=settings.max_rows)
    rows = [parsed_row.row for parsed_row in parsed.rows]
    g.rows = len(rows)
    if signature == "explain":
        limit_explanation(rows, settings.max_explained_events)
    results = services().engine.advance(model, rows, signature=signature)
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if len(failures) == len(results):
        return problem_response(*failures)
    body = v1_answer.render(parsed, results, model, explain=signature == "explain")
    return Response(body, mimetype=JSON)


def limit_explanation(rows: Sequence[Row | Refused], max_events: int) -> None:
    """Refuse explanations of more events than an answer can reasonably hold.

    Raises:
        TooManyEvents: The rows hold more events together.
    """
    events = sum(len(row.sequence) for row in rows if isinstance(row, Row))
    if events > max_events:
        raise TooManyEvents(
            f"the rows hold {events} events; at most {max_events} are explained in one "
            "request. Predict the first ones with a session, then explain the last.",
            max_events=max_events,
        )
