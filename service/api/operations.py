"""Calls for supervisors and tools: liveness, readiness, metrics, documents.

`/docs` renders `/openapi.json` without reaching the internet.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Flask, Response, current_app
from flask_swagger_ui import get_swaggerui_blueprint
from prometheus_client import CONTENT_TYPE_LATEST

from service.api import playground
from service.api.context import services
from service.api.openapi import build_document, describes
from service.api.problems import JSON
from service.api.responses import json_response
from service.common.loop import offload
from service.errors import CarryoverError
from service.sessions.record import SessionKey
from service.telemetry import metrics

operations = Blueprint("operations", __name__)
# No session can have this id; looking for it shows that the store answers.
PROBE = SessionKey("", "", "").encode()

health = Blueprint("health", __name__, url_prefix="/v2/health")
# Only from here: neither the page nor anything it loads may reach another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
UI_OPTIONS = {"app_name": "Carryover", "docExpansion": "list", "validatorUrl": None}

documents = Blueprint("documents", __name__)
swagger_ui: Blueprint = get_swaggerui_blueprint("/docs", "/openapi.json", UI_OPTIONS)


class Alive(msgspec.Struct):
    """Liveness in the words of KServe's V1 protocol."""

    status: str


@operations.get("/")
@describes("operations", "open", answer=Alive)
def alive() -> Response:
    """Report that the process answers, as the servers of KServe V1 do.

    A client that prefers `text/html`, as browsers do, gets the playground.
    """
    if playground.accepts_page():
        response = playground.restrict(playground.send("index.html"))
    else:
        response = json_response({"status": "alive"})
    response.vary.add("Accept")
    return response


@operations.get("/metrics")
@describes("operations", "admin", answer=str, media_types=(JSON, "text/plain"))
def show_metrics() -> Response:
    """Show the metrics of all workers, in Prometheus's text form."""
    try:
        num_stored = services().engine.sessions.count()
    except CarryoverError:  # the rest is wanted then more than ever
        num_stored = None
    text = metrics.expose(num_stored)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


class Live(msgspec.Struct):
    """The process answers."""

    live: bool


class Ready(msgspec.Struct):
    """Readiness of the service, and the number of models."""

    ready: bool
    models: int


@health.get("/live")
@describes("operations", "open", answer=Live)
def live() -> Response:
    """Answer that the process runs."""
    return json_response({"live": True})


@health.get("/ready")
@describes("operations", "open", answer=Ready, other_answers={503: Ready})
def ready() -> Response:
    """Return whether models are loaded and the store answers; 503 if not."""
    num_models = len(services().catalog.names())
    services().engine.sessions.load([PROBE])
    ready = num_models > 0
    return json_response({"ready": ready, "models": num_models}, 200 if ready else 503)


@documents.get("/openapi.json")
@describes("operations", "open")
def openapi() -> Response:
    """Describe every call, as OpenAPI 3.1."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return json_response(offload(build_document, app, services().catalog))


def restrict(response: Response) -> Response:
    """Keep the page from reaching other hosts."""
    response.headers["Content-Security-Policy"] = POLICY
    return response


swagger_ui.after_request(restrict)
