"""`GET /v2/health/live` and `/v2/health/ready`."""

from __future__ import annotations

from flask import Blueprint, Response

from service.current import services
from service.memory.sessions import SessionKey
from service.problems import json_response

# No session can have this id; looking for it shows that the store answers.
PROBE = SessionKey("", "", "")

blueprint = Blueprint("health", __name__, url_prefix="/v2/health")


@blueprint.get("/live")
def live() -> Response:
    """Tell that the process answers."""
    return json_response({"live": True})


@blueprint.get("/ready")
def ready() -> Response:
    """Tell whether models are loaded and the store answers; 503 if not."""
    num_models = len(services().catalog.names())
    services().engine.sessions.load([PROBE])
    ready = num_models > 0
    return json_response({"ready": ready, "models": num_models}, 200 if ready else 503)
