"""The server and its models, as the Open Inference Protocol and Triton describe them.

`GET /v2`, `/v2/models/{model}`, its `/ready`, `/config` and `/stats`, and
`/v2/models/stats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response

from service import VERSION
from service.api.context import find_model, services
from service.api.openapi import describes
from service.api.responses import json_response
from service.api.v2.schema import (
    BYTES,
    InferMetadata,
    ModelConfiguration,
    ModelReady,
    ModelStatistics,
    ServerMetadata,
    Tensor,
    list_inputs,
    list_outputs,
)
from service.errors import ModelNotFound, VersionNotFound
from service.registry.catalog import Model

NAME = "carryover"
PLATFORM = "tensorflow_savedmodel"
# Those of Triton's extensions that are spoken here.
EXTENSIONS = (
    "classification",
    "sequence",
    "sequence(string_id)",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
MODEL_ERRORS = (ModelNotFound, VersionNotFound)

blueprint = Blueprint("v2_models", __name__, url_prefix="/v2")


def describe_server(version: str) -> dict[str, Any]:
    """Describe the server."""
    return {"name": NAME, "version": version, "extensions": list(EXTENSIONS)}


def describe_model(model: Model, versions: Sequence[int]) -> dict[str, Any]:
    """Describe a model's tensors."""
    return {
        "name": model.manifest.name,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": [describe_tensor(t) for t in list_inputs(model.manifest)],
        "outputs": [describe_tensor(t) for t in list_outputs(model.manifest)],
    }


def describe_tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe a tensor."""
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
    }


def describe_config(
    model: Model, *, max_rows: int, idle_seconds: float
) -> dict[str, Any]:
    """Describe a model as Triton's model configuration would.

    Args:
        model: The model.
        max_rows: Most rows of a request.
        idle_seconds: How long a sequence lives without a request.
    """
    return {
        "name": model.manifest.name,
        "platform": PLATFORM,
        "backend": NAME,
        "version_policy": {"specific": {"versions": [model.manifest.version]}},
        "max_batch_size": max_rows,
        "input": [describe_config_tensor(t) for t in list_inputs(model.manifest)],
        "output": [describe_config_tensor(t) for t in list_outputs(model.manifest)],
        "sequence_batching": {
            "direct": {},
            "max_sequence_idle_microseconds": round(idle_seconds * 1e6),
            "control_input": [],
            "state": [],
        },
    }


def describe_config_tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe a tensor, the batch left out because `max_batch_size` gives it."""
    datatype = "STRING" if tensor.datatype == BYTES else tensor.datatype
    return {
        "name": tensor.name,
        "data_type": f"TYPE_{datatype}",
        "dims": list(tensor.shape[1:]),
    }


@blueprint.get("")
@describes("inference", "any", answer=ServerMetadata)
def server() -> Response:
    """Describe the server and the extensions it speaks."""
    return json_response(describe_server(VERSION))


@blueprint.get("/models/<model:name>")
@blueprint.get("/models/<model:name>/versions/<version:version>")
@describes("inference", "any", answer=InferMetadata, errors=MODEL_ERRORS)
def metadata(name: str, version: int | None = None) -> Response:
    """Describe a model's input and output tensors."""
    model = find_model(name, version)
    versions = services().catalog.versions(name)
    return json_response(describe_model(model, versions))


@blueprint.get("/models/<model:name>/ready")
@blueprint.get("/models/<model:name>/versions/<version:version>/ready")
@describes("inference", "any", answer=ModelReady, errors=MODEL_ERRORS)
def ready(name: str, version: int | None = None) -> Response:
    """Answer that a model is served; 404 where it is not."""
    model = find_model(name, version)
    return json_response({"name": model.manifest.name, "ready": True})


@blueprint.get("/models/<model:name>/config")
@blueprint.get("/models/<model:name>/versions/<version:version>/config")
@describes("inference", "any", answer=ModelConfiguration, errors=MODEL_ERRORS)
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
@describes("inference", "admin", answer=ModelStatistics, errors=MODEL_ERRORS)
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
