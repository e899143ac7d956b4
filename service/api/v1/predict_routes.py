"""`POST /v1/models/{model}[/versions/{n}]:predict` and `:explain`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from service.api.context import find_model, measure, read_body, services, tenant
from service.api.openapi import Parameter, describes
from service.api.problems import respond
from service.api.rows import ROW_ERRORS
from service.api.v1.answer_schema import Predictions, RowAnswer
from service.api.v1.examples import predict_examples
from service.api.v1.predict import PredictRequest, answer_predict
from service.api.v1.schema import PredictBody
from service.api.v1.texts import servable_not_found
from service.errors import ModelNotFound, VersionNotFound
from service.registry.backends.base import Signature
from service.registry.catalog import Model

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
    return answer(name, version, label, "advance")


@blueprint.post(PATHS[0].format(verb="explain"))
@blueprint.post(PATHS[1].format(verb="explain"))
@blueprint.post(PATHS[2].format(verb="explain"))
@describes("predict", "predict", **ROWS)
def explain(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Do what predict does, and show every gate and memory."""
    return answer(name, version, label, "explain")


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
    key = request.headers.get("Idempotency-Key")
    asked = PredictRequest(model, signature, tenant(), version, key, measure())
    here = services()
    return respond(answer_predict(here.engine, here.settings, asked, read_body()))
