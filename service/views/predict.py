"""`POST /v1/models/{model}[/versions/{n}]:predict` and `:explain`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from service import body, predicting
from service.catalog import Model
from service.current import find_model, services, tenant
from service.dialects.v1_forms import PredictBody
from service.dialects.v1_schema import Predictions, RowAnswer
from service.dialects.v1_texts import servable_not_found
from service.errors import (
    Conflict,
    CorruptRecord,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    NonFiniteResult,
    Overloaded,
    SessionGone,
    StoreFull,
    TokenExpired,
    VersionNotFound,
)
from service.openapi import Parameter, describes
from service.predicting import Asked
from service.problems import respond
from service.runtime import Signature
from service.views.v1_examples import predict_examples

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
    "errors": [
        InvalidRequest,
        ModelNotFound,
        VersionNotFound,
        SessionGone,
        TokenExpired,
        Conflict,
        NonFiniteResult,
        CorruptRecord,
        DeadlineExceeded,
        Overloaded,
        StoreFull,
    ],
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
    asked = Asked(model, signature, tenant(), version, key)
    here = services()
    return respond(predicting.predict(here.engine, here.settings, asked, read_body()))


def read_body() -> bytes:
    """Read the request's body, whole or not at all; see `service.body`."""
    here = services()
    most = here.settings.max_body_bytes
    return body.read_body(request.environ, most, here.bodies, tenant())
