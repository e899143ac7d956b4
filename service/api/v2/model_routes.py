"""The server and its models, as the Open Inference Protocol and Triton describe them.

`GET /v2`, `/v2/models/{model}`, its `/ready`, `/config` and `/stats`, and
`/v2/models/stats`.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from service import VERSION
from service.api.context import find_model, services
from service.api.openapi import describes
from service.api.problems import json_response
from service.api.v2.answer_schema import (
    InferMetadata,
    ModelConfiguration,
    ModelReady,
    ModelStatistics,
    ServerMetadata,
)
from service.api.v2.metadata import (
    describe_config,
    describe_model,
    describe_server,
)
from service.errors import ModelNotFound, VersionNotFound

MISSING = (ModelNotFound, VersionNotFound)

blueprint = Blueprint("v2_models", __name__, url_prefix="/v2")


@blueprint.get("")
@describes("inference", "any", answer=ServerMetadata)
def server() -> Response:
    """Describe the server and the extensions it speaks."""
    return json_response(describe_server(VERSION))


@blueprint.get("/models/<model:name>")
@blueprint.get("/models/<model:name>/versions/<version:version>")
@describes("inference", "any", answer=InferMetadata, errors=MISSING)
def metadata(name: str, version: int | None = None) -> Response:
    """Describe a model's input and output tensors."""
    model = find_model(name, version)
    versions = services().catalog.versions(name)
    return json_response(describe_model(model, versions))


@blueprint.get("/models/<model:name>/ready")
@blueprint.get("/models/<model:name>/versions/<version:version>/ready")
@describes("inference", "any", answer=ModelReady, errors=MISSING)
def ready(name: str, version: int | None = None) -> Response:
    """Tell that a model is served; 404 where it is not."""
    model = find_model(name, version)
    return json_response({"name": model.manifest.name, "ready": True})


@blueprint.get("/models/<model:name>/config")
@blueprint.get("/models/<model:name>/versions/<version:version>/config")
@describes("inference", "any", answer=ModelConfiguration, errors=MISSING)
def config(name: str, version: int | None = None) -> Response:
    """Describe a model as Triton's model configuration would."""
    settings = services().settings
    model = find_model(name, version)
    described = describe_config(
        model,
        max_rows=settings.max_rows,
        idle_seconds=settings.model_idle_seconds.get(
            model.manifest.name, settings.session_idle_seconds
        ),
    )
    return json_response(described)


@blueprint.get("/models/<model:name>/stats")
@blueprint.get("/models/<model:name>/versions/<version:version>/stats")
@describes("inference", "admin", answer=ModelStatistics, errors=MISSING)
def model_statistics(name: str, version: int | None = None) -> Response:
    """Count the infer calls of a model, over all workers since the service started."""
    versions = services().catalog.versions(name)
    if version is not None:
        versions = [find_model(name, version).manifest.version]
    return json_response({"model_stats": [count(name, v) for v in versions]})


@blueprint.get("/models/stats")
@describes("inference", "admin", answer=ModelStatistics)
def statistics() -> Response:
    """Count the infer calls of every model that is served."""
    catalog = services().catalog
    counted = [count(n, v) for n in catalog.names() for v in catalog.versions(n)]
    return json_response({"model_stats": counted})


def count(name: str, version: int) -> dict[str, Any]:
    """Describe the statistics of one version."""
    return services().statistics.describe(name, version)
