"""`GET /v2/health/live` and `/v2/health/ready`."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from service.api.context import services
from service.api.openapi import describes
from service.api.problems import json_response
from service.sessions.lifecycle import SessionKey

# No session can have this id; looking for it shows that the store answers.
PROBE = SessionKey("", "", "").encode()

blueprint = Blueprint("health", __name__, url_prefix="/v2/health")


class Live(msgspec.Struct):
    """The process answers."""

    live: bool


class Ready(msgspec.Struct):
    """Whether requests can be served, and by how many models."""

    ready: bool
    models: int


@blueprint.get("/live")
@describes("operations", "open", answer=Live)
def live() -> Response:
    """Tell that the process answers."""
    return json_response({"live": True})


@blueprint.get("/ready")
@describes("operations", "open", answer=Ready, other_answers={503: Ready})
def ready() -> Response:
    """Return whether models are loaded and the store answers; 503 if not."""
    num_models = len(services().catalog.names())
    services().engine.sessions.load([PROBE])
    ready = num_models > 0
    return json_response({"ready": ready, "models": num_models}, 200 if ready else 503)
