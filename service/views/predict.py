"""`POST /v1/models/{model}[/versions/{n}]:predict` and `:explain`."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from service.catalog import Model
from service.current import services
from service.dialects import v1, v1_answer
from service.errors import CarryoverError, TooManyEvents
from service.problems import JSON, PROBLEM_JSON, all_failed, status_of
from service.rows import Result
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
    return answer(services().catalog.find(name, version), explain=False)


@blueprint.post(PATHS[0].format(verb="explain"))
@blueprint.post(PATHS[1].format(verb="explain"))
def explain(name: str, version: int | None = None) -> Response:
    """Do what predict does, and show every gate and memory."""
    return answer(services().catalog.find(name, version), explain=True)


def answer(model: Model, *, explain: bool) -> Response:
    """Parse, advance, render."""
    settings = services().settings
    parsed = v1.parse(request.get_data(cache=False), model, max_rows=settings.max_rows)
    g.model, g.rows = model.manifest, len(parsed.rows)
    if explain:
        limit_explanation(parsed, settings.max_explained_events)
    results = advance(parsed, model, explain=explain)
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if len(failures) == len(results):
        body, status = all_failed(failures), status_of(failures[0])
        return Response(body, status, mimetype=PROBLEM_JSON)
    body = v1_answer.render(parsed, results, model, explain=explain)
    return Response(body, mimetype=JSON)


def advance(parsed: v1.Request, model: Model, *, explain: bool) -> list[Result]:
    """Advance the good rows; the refused keep their places and their errors."""
    good = [row.row for row in parsed.rows if isinstance(row, v1.ParsedRow)]
    signature: Signature = "explain" if explain else "advance"
    outcomes = iter(services().engine.advance(model, good, signature=signature))
    return [
        row if isinstance(row, CarryoverError) else next(outcomes)
        for row in parsed.rows
    ]


def limit_explanation(parsed: v1.Request, max_events: int) -> None:
    """Refuse explanations of more events than an answer can reasonably hold.

    Raises:
        TooManyEvents: The rows hold more events together.
    """
    events = sum(
        len(row.row.sequence) for row in parsed.rows if isinstance(row, v1.ParsedRow)
    )
    if events > max_events:
        raise TooManyEvents(
            f"the rows hold {events} events; at most {max_events} are explained in one "
            "request. Predict the first ones with a session, then explain the last.",
            max_events=max_events,
        )
