"""Calls `:predict` and `:explain` of the v1 dialect, from bytes to an answer.

`answer_predict` serves both ways that a request comes in: the view of Flask, and the
fast path. `:classify` and `:regress` of TensorFlow Serving are refused.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NoReturn

from flask import Blueprint, Response, request

from service.api.context import find_model, measure, read_body, services, tenant
from service.api.openapi import Parameter, describes
from service.api.openapi.operation import Example, example_events
from service.api.problems import JSON, ROW_ERRORS, Answer, answer_problem, limit_events
from service.api.responses import respond
from service.api.v1.parse import parse_body
from service.api.v1.render import render_body
from service.api.v1.schema import PredictBody, Predictions, RowAnswer
from service.api.v1.spelling import reword, servable_not_found
from service.common.value import Value
from service.engine.engine import Engine, is_replayed
from service.engine.idempotency import Idempotency, fingerprint_request, parse_key
from service.engine.job import Timings
from service.errors import CarryoverError, ModelNotFound, NotServed, VersionNotFound
from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.settings import Settings

ROW = attrgetter("row")
not_served_blueprint = Blueprint("classify", __name__)

NOT_SERVED = (
    "{verb} takes tf.Example protocol buffers, which this service does not serve. Send "
    "the same events to :predict; top and threshold name the labels."
)


class PredictRequest(Value, frozen=True):
    """Request of a predict call without its body.

    Args:
        model: Which network it is for.
        signature: `explain` for the gates too.
        tenant: Whom its sessions belong to.
        version: The version its address names, if any.
        key: Its `Idempotency-Key` header, if any.
        timings: Where to measure what its time is spent on, if anybody asks.
    """

    model: Model
    signature: Signature
    tenant: str
    version: int | None = None
    key: str | None = None
    timings: Timings | None = None


def answer_predict(
    engine: Engine, settings: Settings, asked: PredictRequest, data: bytes
) -> Answer:
    """Parse, advance, render.

    Raises:
        CarryoverError: The request as a whole cannot be answered.
    """
    explain, key = asked.signature == "explain", asked.key
    parsed = parse_body(
        data,
        asked.model,
        max_rows=settings.max_rows,
        explain=explain,
        idempotency=None if key is None else read_idempotency(data, asked, key),
        timeout_seconds=settings.request_timeout_seconds,
    )
    rows = list(map(ROW, parsed.rows))
    if explain:
        limit_events(rows, settings.max_explained_events, "explained")
    elif not parsed.options.is_last_only:
        limit_events(rows, settings.max_returned_events, "returned")
    results = engine.advance(
        asked.model,
        rows,
        tenant=asked.tenant,
        signature=asked.signature,
        is_version_named=asked.version is not None,
        timeout_seconds=settings.request_timeout_seconds,
        timings=asked.timings,
    )
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if failures:
        reword(parsed, results)
    if len(failures) == len(results):
        return answer_problem(*failures).replace(num_rows=len(rows))
    body = render_body(parsed, results, asked.model, explain=explain)
    headers: dict[str, str] = {}
    if is_replayed(rows, results):
        headers["Idempotency-Replayed"] = "true"
    return Answer(200, body, JSON, headers, num_rows=len(rows))


def read_idempotency(data: bytes, asked: PredictRequest, key: str) -> Idempotency:
    """Read the request's idempotency key and digest what it asks for."""
    fingerprint = fingerprint_request(data, asked.signature, str(asked.version))
    return Idempotency(parse_key(key), fingerprint)


def predict_examples(model: Model) -> dict[str, Example]:
    """Show every way to predict with a model."""
    events = example_events(model.manifest, 2)
    first, second = [events[:1], events]
    examples = {
        "bare": Example("No memory: bare values", {"instances": [first, second]}),
        "session": Example(
            "The service remembers",
            {"instances": [{"sequence": first, "session": "ticket-42"}]},
        ),
        "memory": Example(
            "The client remembers: send the answer's memory with the next event",
            {"instances": [{"sequence": first, "memory": None}]},
        ),
        "exactly_once": Example(
            "The first event of a session, applied once however often it is sent",
            {"instances": [{"sequence": first, "session": "ticket-43", "at": 0}]},
        ),
        "columns": Example(
            "TensorFlow Serving's columns", {"inputs": {"sequence": [first, second]}}
        ),
        "openvino": Example(
            "OpenVINO Model Server's sequences: 1 starts",
            {"inputs": {"sequence": [first], "sequence_control_input": [1]}},
        ),
    }
    if model.manifest.labels is not None:
        row = {"sequence": second}
        examples["labels"] = Example(
            "The most probable labels after every event",
            {"instances": [row], "return": "all", "top": 2, "threshold": 0.5},
        )
    return examples


blueprint = Blueprint("predict", __name__)

PATHS = (
    "/v1/models/<model:name>:{verb}",
    "/v1/models/<model:name>/versions/<version:version>:{verb}",
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
    "errors": ROW_ERRORS,
}


@blueprint.post(PATHS[0].format(verb="predict"))
@blueprint.post(PATHS[1].format(verb="predict"))
@blueprint.post(PATHS[2].format(verb="predict"))
@describes("predict", "predict", **ROWS)
def predict(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Advance the rows and answer what the network says after them."""
    return answer_rows(name, version, label, "advance")


@blueprint.post(PATHS[0].format(verb="explain"))
@blueprint.post(PATHS[1].format(verb="explain"))
@blueprint.post(PATHS[2].format(verb="explain"))
@describes("predict", "predict", **ROWS)
def explain(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Do what predict does, and show every gate and memory."""
    return answer_rows(name, version, label, "explain")


def find_servable(name: str, version: int | None, label: str | None) -> Model:
    """Find a model to run; its error is in TensorFlow Serving's words."""
    try:
        return find_model(name, version, label)
    except (ModelNotFound, VersionNotFound) as error:
        error.members["error"] = servable_not_found(name[:80], version)
        raise


def answer_rows(
    name: str, version: int | None, label: str | None, signature: Signature
) -> Response:
    """Parse, advance, render."""
    model = find_servable(name, version, label)
    if label is not None:
        version = model.manifest.version
    key = request.headers.get("Idempotency-Key")
    asked = PredictRequest(model, signature, tenant(), version, key, measure())
    here = services()
    return respond(answer_predict(here.engine, here.settings, asked, read_body()))


@not_served_blueprint.post(PATHS[0].format(verb="classify"))
@not_served_blueprint.post(PATHS[1].format(verb="classify"))
@not_served_blueprint.post(PATHS[2].format(verb="classify"))
@describes("predict", "any", errors=[NotServed])
def classify(
    name: str, version: int | None = None, label: str | None = None
) -> NoReturn:
    """Refuse TensorFlow Serving's call for tf.Example, and name the one to use.

    Raises:
        NotServed: Always.
    """
    raise NotServed(NOT_SERVED.format(verb="classify"))


@not_served_blueprint.post(PATHS[0].format(verb="regress"))
@not_served_blueprint.post(PATHS[1].format(verb="regress"))
@not_served_blueprint.post(PATHS[2].format(verb="regress"))
@describes("predict", "any", errors=[NotServed])
def regress(
    name: str, version: int | None = None, label: str | None = None
) -> NoReturn:
    """Refuse TensorFlow Serving's call for tf.Example, and name the one to use.

    Raises:
        NotServed: Always.
    """
    raise NotServed(NOT_SERVED.format(verb="regress"))
