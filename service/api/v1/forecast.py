"""The v1 dialect's `:forecast`: its JSON to rows and a plan, and paths to JSON."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import orjson
from flask import Blueprint, Response, g

from service.api.context import read_body, services, tenant
from service.api.long_json import JSON_OPTIONS, is_decoded_at_once
from service.api.openapi import describes
from service.api.openapi.operation import Example, example_events
from service.api.problems import JSON, problem
from service.api.responses import problem_response
from service.api.v1.diagnose import load_json, refuse_json, wrong_form
from service.api.v1.parse import refuse_number
from service.api.v1.predict import PATHS, ROWS, find_servable
from service.api.v1.row import name_row, refuse_excess
from service.api.v1.schema import Count, ForecastAnswer, Forecasts
from service.common.loop import long_work, take_break
from service.engine.decoding import DecodingPlan, Path
from service.engine.forecast import Forecast, check_forecastable, forecast
from service.engine.job import Call
from service.engine.rows import Refused, Row
from service.errors import CarryoverError, InvalidRequest, TooManyEvents
from service.registry.catalog import Model
from service.registry.encoding.events import warn_of_unknown
from service.sessions.record import check_session_id

T = TypeVar("T")
Positive = Annotated[int, msgspec.Meta(ge=1)]
# What a number of JSON holds exactly in every language.
MAX_SEED = 2**53
# Enough for the most probable path of every model tried; each costs a row of a batch.
DEFAULT_BEAMS = 16
blueprint = Blueprint("forecast", __name__)


class ForecastBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `:forecast`."""

    instances: list[msgspec.Raw]
    horizon: Positive
    samples: Positive | None = None
    seed: Count | None = None
    beams: Positive | None = None


class ForecastRow(msgspec.Struct, forbid_unknown_fields=True):
    """A row to continue; its events, if any, are what might happen first."""

    sequence: list[Any] = []
    session: str | msgspec.UnsetType = msgspec.UNSET
    memory: str | msgspec.UnsetType | None = msgspec.UNSET
    at: Count | None = None


class ParsedForecast(NamedTuple):
    """A parsed body."""

    plan: DecodingPlan
    rows: list[Row | Refused]


def parse_body(
    data: bytes, model: Model, *, max_rows: int, max_events: int
) -> ParsedForecast:
    """Parse the body of a forecast call.

    Args:
        data: The body.
        model: Model of the rows' events.
        max_rows: Most rows accepted.
        max_events: Most events accepted, over all rows and paths.

    Raises:
        InvalidRequest: The body as a whole cannot be used.
    """
    try:
        body = msgspec.json.decode(data, type=ForecastBody)
    except msgspec.ValidationError as error:
        raise wrong_form(error, "the body", ForecastBody) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        refuse_json(data)
    if not 0 < len(body.instances) <= max_rows:
        refuse_number(len(body.instances), max_rows)
    plan = build_plan(body)
    limit_events(body, plan, 0, max_events)
    rows: list[Row | Refused] = []
    for k, raw in enumerate(body.instances):
        rows.append(parse_row(k, raw, model))
        take_break()
    num_given = sum(len(row.sequence) for row in rows if isinstance(row, Row))
    limit_events(body, plan, num_given, max_events)
    return ParsedForecast(plan, rows)


def limit_events(
    body: ForecastBody, plan: DecodingPlan, num_given: int, max_events: int
) -> None:
    """Refuse a forecast that computes more events than one may, the given ones too.

    Raises:
        TooManyEvents: It does.
    """
    num_rows = len(body.instances)
    num_events = num_given + num_rows * plan.num_paths * plan.horizon
    if num_events > max_events:
        raise TooManyEvents(
            f"{num_rows} rows of {plan.num_paths} paths of {plan.horizon} events, with "
            f"{num_given} given events, are {num_events} events; at most {max_events} "
            "are computed in a forecast. Ask for fewer paths (samples, beams), a "
            "shorter horizon, or send fewer events.",
            max_events=max_events,
        )


def build_plan(body: ForecastBody) -> DecodingPlan:
    """Read what is asked for; samples without a seed get one, which the answer names.

    Raises:
        InvalidRequest: The options contradict each other.
    """
    if body.samples is None and body.seed is not None:
        raise InvalidRequest(
            "seed is of samples, and none are asked for: the most probable path needs "
            "no chance. Leave it out, or add samples."
        )
    if body.samples is not None and body.beams is not None:
        raise InvalidRequest(
            "the body has both samples and beams; send samples to draw paths, beams to "
            "look for the most probable one."
        )
    seed = secrets.randbelow(MAX_SEED) if body.seed is None else body.seed
    return DecodingPlan(body.horizon, body.samples, seed, body.beams or DEFAULT_BEAMS)


def parse_row(position: int, raw: msgspec.Raw, model: Model) -> Row | Refused:
    """Parse one row; a refusal names the row."""
    where = f"instances[{position}]"
    try:
        text = bytes(raw).decode()
        if (refused := refuse_excess(text, where, model)) is not None:
            return refused
        if text.startswith("["):
            bare = decode(text, list[Any])
            return Row(model.encoder.encode(bare), events=bare)
        return build_row(decode(text, ForecastRow), model)
    except msgspec.ValidationError as error:
        return Refused(wrong_form(error, where, ForecastRow))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return Refused(InvalidRequest(f"{where} cannot be read ({error})."))
    except CarryoverError as error:
        return Refused(name_row(error, where))


def decode(text: str, form: type[T]) -> T:
    """Decode a row; a very long one with breaks."""
    if is_decoded_at_once(text):
        return msgspec.json.decode(text, type=form)
    return msgspec.convert(load_json(text.encode()), form)


def build_row(row: ForecastRow, model: Model) -> Row:
    """Hand a row to the engine's form; it may be without events.

    Raises:
        InvalidRequest: It has both session and memory, or an id or an event that cannot
            be used.
    """
    session = row.session if isinstance(row.session, str) else None
    token = row.memory if isinstance(row.memory, str) else None
    if session is not None and token is not None:
        raise InvalidRequest(
            "the row has both session and memory; send the one that is to be continued."
        )
    if session is not None:
        check_session_id(session)
    sequence = np.zeros((0, *model.encoder.columns), model.encoder.dtype)
    if row.sequence:
        sequence = model.encoder.encode(row.sequence)
    return Row(sequence, session, token, at=row.at, events=row.sequence)


def render_body(
    request: ParsedForecast, results: Sequence[Forecast | CarryoverError], model: Model
) -> bytes:
    """Write the answer of a forecast call."""
    answer: dict[str, Any] = {
        "predictions": [
            render_row(row, result, request.plan)
            for row, result in zip(request.rows, results, strict=True)
        ],
        "model_version": str(model.manifest.version),
    }
    if request.plan.samples is not None:
        answer["seed"] = request.plan.seed
    if warnings := warn(request.rows, model):
        answer["warnings"] = warnings
    return orjson.dumps(answer, option=JSON_OPTIONS)


def warn(rows: Sequence[Row | Refused], model: Model) -> list[str]:
    """Warn of events that training has not seen, where the model takes them."""
    found = [
        warn_of_unknown(model.encoder, row.events or (), f"instances[{k}]: sequence")
        for k, row in enumerate(rows)
        if isinstance(row, Row) and model.encoder.unknown is not None
    ]
    return [warning for warning in found if warning]


def render_row(
    row: Row | Refused, result: Forecast | CarryoverError, plan: DecodingPlan
) -> Any:
    """Write one row's paths, or its problem document."""
    if isinstance(result, CarryoverError):
        return problem(result)
    labels = result.model.manifest.labels or []
    paths = [render_path(path, labels) for path in result.paths]
    answer: dict[str, Any] = {"path": paths[0]}
    if plan.samples is not None:
        answer = {"samples": paths}
    answer["step"] = result.step
    if row.session is not None:
        answer["session"] = row.session
    answer["model_version"] = str(result.model.manifest.version)
    if result.migrated_from is not None:
        answer["migrated_from"] = str(result.migrated_from)
    if result.is_reset:
        answer["reset"] = True
    return answer


def render_path(path: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Write one path: its numbers with the digits of a float32, as a prediction's."""
    return {
        "events": [labels[k] for k in path.events],
        "probabilities": np.array(path.probabilities, np.float32),
        "log_probability": np.float32(path.log_probability),
    }


def forecast_examples(model: Model) -> dict[str, Example]:
    """Show how to forecast, with a model that can be."""
    manifest = model.manifest
    if manifest.task != "next_event" or manifest.input["kind"] == "record":
        return {}
    row = example_events(model.manifest, 2)
    return {
        "path": Example("The most probable path", {"instances": [row], "horizon": 3}),
        "samples": Example(
            "Three paths, the same each time",
            {"instances": [row], "horizon": 3, "samples": 3, "seed": 7},
        ),
    }


@blueprint.post(PATHS[0].format(verb="forecast"))
@blueprint.post(PATHS[1].format(verb="forecast"))
@blueprint.post(PATHS[2].format(verb="forecast"))
@describes(
    "predict",
    "predict",
    body=ForecastBody,
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
        parsed = parse_body(
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
    return Response(render_body(parsed, results, model), mimetype=JSON)
