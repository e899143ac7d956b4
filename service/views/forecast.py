"""`POST /v1/models/{model}[/versions/{n}]:forecast`: what may come, nothing stored."""

from __future__ import annotations

from flask import Blueprint, Response, g

from service.current import find_model, services, tenant
from service.dialects import v1_forecast
from service.errors import CarryoverError
from service.forecast import check_forecastable, forecast
from service.problems import JSON, problem_response
from service.transition import Call
from service.views.predict import PATHS, read_body

blueprint = Blueprint("forecast", __name__)


@blueprint.post(PATHS[0].format(verb="forecast"))
@blueprint.post(PATHS[1].format(verb="forecast"))
def forecast_rows(name: str, version: int | None = None) -> Response:
    """Continue the rows `horizon` events ahead, without committing anything."""
    model, settings = find_model(name, version), services().settings
    check_forecastable(model)
    parsed = v1_forecast.parse(
        read_body(),
        model,
        max_rows=settings.max_rows,
        max_events=settings.max_forecast_events,
    )
    g.rows = len(parsed.rows)
    call = Call(model, tenant(), "advance", is_version_named=version is not None)
    results = forecast(services().engine, call, parsed.rows, parsed.plan)
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if len(failures) == len(results):
        return problem_response(*failures)
    return Response(v1_forecast.render(parsed, results, model), mimetype=JSON)
