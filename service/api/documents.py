"""`/openapi.json`, and `/docs`, which renders it without reaching the internet."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app
from flask_swagger_ui import get_swaggerui_blueprint

from service.api.context import services
from service.api.openapi import build_document, describes
from service.api.problems import json_response
from service.common.loop import offload

# Only from here: neither the page nor anything it loads may reach another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
UI_OPTIONS = {"app_name": "Carryover", "docExpansion": "list", "validatorUrl": None}

blueprint = Blueprint("documents", __name__)
swagger_ui: Blueprint = get_swaggerui_blueprint("/docs", "/openapi.json", UI_OPTIONS)


@blueprint.get("/openapi.json")
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
