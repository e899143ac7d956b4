"""`GET /v2/health/live` and `/v2/health/ready`."""

from __future__ import annotations

from flask import Blueprint, Response

from service.current import services
from service.problems import json_response

blueprint = Blueprint("health", __name__, url_prefix="/v2/health")


@blueprint.get("/live")
def live() -> Response:
    """Tell that the process answers."""
    return json_response({"live": True})


@blueprint.get("/ready")
def ready() -> Response:
    """Tell whether models are loaded and the store answers; 503 if not."""
    num_models = len(services().catalog.names())
    num_sessions = services().engine.sessions.count()
    body = {"ready": num_models > 0, "models": num_models, "sessions": num_sessions}
    return json_response(body, 200 if num_models else 503)
