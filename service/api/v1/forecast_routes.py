"""`POST /v1/models/{model}[/versions/{n}]:forecast`: what may come, nothing stored."""

from __future__ import annotations

import time

from flask import Blueprint, Response, g

from service.api.context import read_body, services, tenant
from service.api.openapi import describes
from service.api.problems import JSON, problem_response
from service.api.v1 import forecast as v1_forecast
from service.api.v1.answer_schema import ForecastAnswer, Forecasts
from service.api.v1.examples import forecast_examples
from service.api.v1.predict_routes import PATHS, ROWS, find_servable
from service.common.loop import long_work
from service.engine.call import Call
from service.engine.forecast import check_forecastable, forecast
from service.errors import CarryoverError

blueprint = Blueprint("forecast", __name__)


@blueprint.post(PATHS[0].format(verb="forecast"))
@blueprint.post(PATHS[1].format(verb="forecast"))
@blueprint.post(PATHS[2].format(verb="forecast"))
@describes(
    "predict",
    "predict",
    body=v1_forecast.ForecastBody,
    answer=Forecasts,
    parts=[ForecastAnswer],
    errors=ROWS["errors"],
    examples=forecast_examples,
)
def forecast_rows(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Continue the rows `horizon` events ahead, without committing anything."""
    model, settings = find_servable(name, version, label), services().settings
    check_forecastable(model)
    content = read_body()
    with long_work(len(content), settings.request_timeout_seconds):
        parsed = v1_forecast.parse_body(
            content,
            model,
            max_rows=settings.max_rows,
            max_events=settings.max_forecast_events,
        )
    g.rows = len(parsed.rows)
    is_named = (version or label) is not None
    call = Call(model, tenant(), "advance", is_version_named=is_named)
    deadline = time.monotonic() + settings.request_timeout_seconds
    results = forecast(services().engine, call, parsed.rows, parsed.plan, deadline)
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if len(failures) == len(results):
        return problem_response(*failures)
    return Response(v1_forecast.render_body(parsed, results, model), mimetype=JSON)
