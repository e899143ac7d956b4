"""`GET /v1/models`, `/v1/models/{model}` and `/metadata`."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response

from service.catalog import Model
from service.current import find_model, services
from service.problems import json_response

blueprint = Blueprint("models", __name__, url_prefix="/v1/models")


@blueprint.get("")
def list_models() -> Response:
    """List the served models, as KServe V1 does."""
    return json_response({"models": services().catalog.names()})


@blueprint.get("/<model:name>")
@blueprint.get("/<model:name>/versions/<int:version>")
def status(name: str, version: int | None = None) -> Response:
    """Tell that a model is served, as KServe V1 and TensorFlow Serving both do."""
    catalog = services().catalog
    versions = catalog.versions(name)
    if version is not None:
        versions = [catalog.find(name, version).manifest.version]
    states = [
        {
            "version": str(served),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        for served in reversed(versions)
    ]
    return json_response({"name": name, "ready": True, "model_version_status": states})


@blueprint.get("/<model:name>/metadata")
@blueprint.get("/<model:name>/versions/<int:version>/metadata")
def metadata(name: str, version: int | None = None) -> Response:
    """Tell what a model takes and answers, and how it was trained and measured."""
    return json_response(describe(find_model(name, version)))


def describe(model: Model) -> dict[str, Any]:
    """Show a manifest without what only the service needs."""
    shown = msgspec.to_builtins(model.manifest)
    del shown["files"]
    return {**shown, "memory_bytes": 4 * model.memory_size}
