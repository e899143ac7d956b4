"""`GET /v1/models`, `/v1/models/{model}` and `/metadata`."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from service.api.context import find_model, services
from service.api.openapi import describes
from service.api.problems import json_response
from service.api.v1.metadata import (
    ModelList,
    ModelMetadata,
    ModelStatus,
    describe_model,
    describe_status,
)
from service.api.v1.texts import no_versions
from service.errors import ModelNotFound, UnknownLabel, VersionNotFound
from service.registry.catalog import Model

blueprint = Blueprint("models", __name__, url_prefix="/v1/models")

MISSING = (ModelNotFound, VersionNotFound, UnknownLabel)


@blueprint.get("")
@describes("models", "any", answer=ModelList)
def list_models() -> Response:
    """List the served models, as KServe V1 does."""
    models = ModelList(services().catalog.names())
    return json_response(msgspec.to_builtins(models))


@blueprint.get("/<model:name>")
@blueprint.get("/<model:name>/versions/<version:version>")
@blueprint.get("/<model:name>/labels/<label:label>")
@describes("models", "any", answer=ModelStatus, errors=MISSING)
def status(name: str, version: int | None = None, label: str | None = None) -> Response:
    """Say which versions are served and why others are not, in both tongues."""
    opened = services().repository
    failures = opened.failures(name) if opened else {}
    if version in failures:
        described = describe_status(name, [], {version: failures[version]})
    elif version is not None or label is not None:
        model = find_described(name, version, label)
        described = describe_status(name, [model.manifest.version], {})
    elif failures and not services().catalog.loaded(name):
        described = describe_status(name, [], failures)
    else:
        find_described(name, None, None)
        described = describe_status(name, services().catalog.versions(name), failures)
        if opened and opened.follows_labels:
            labels = opened.version_labels(name)
            described.labels = labels.versions
            described.labels_refused = labels.failure or msgspec.UNSET
    return json_response(msgspec.to_builtins(described))


@blueprint.get("/<model:name>/metadata")
@blueprint.get("/<model:name>/versions/<version:version>/metadata")
@blueprint.get("/<model:name>/labels/<label:label>/metadata")
@describes("models", "any", answer=ModelMetadata, errors=MISSING)
def metadata(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Tell what a model takes and answers, and how it was trained and measured."""
    return json_response(describe_model(find_described(name, version, label)))


def find_described(name: str, version: int | None, label: str | None) -> Model:
    """Find a model to describe; where there is none, in TensorFlow Serving's words."""
    try:
        return find_model(name, version, label)
    except (ModelNotFound, VersionNotFound) as error:
        error.members["error"] = no_versions(name[:80], version)
        raise
