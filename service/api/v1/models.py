"""Calls that describe models: `GET /v1/models`, `/v1/models/{model}`, `/metadata`.

One body has TensorFlow Serving's form and KServe's, or the service's own. It is made of
the manifest; the SavedModel itself is not opened for it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from service.api.context import find_model, services
from service.api.openapi import describes
from service.api.problems import JSON
from service.api.responses import json_response
from service.api.v1.spelling import no_versions
from service.common.loop import offload
from service.errors import ModelNotFound, ReportNotFound, UnknownLabel, VersionNotFound
from service.registry.artifact import Artifact, ArtifactError, Manifest, read_file
from service.registry.catalog import Model

REPORT = "assets.extra/carryover/report.html"
DTYPES = {
    "event": "DT_STRING",
    "time": "DT_STRING",
    "category": "DT_STRING",
    "number": "DT_FLOAT",
    "vector": "DT_FLOAT",
    "index": "DT_INT32",
}
report_blueprint = Blueprint("report", __name__, url_prefix="/v1/models")
blueprint = Blueprint("models", __name__, url_prefix="/v1/models")

MODEL_ERRORS = (ModelNotFound, VersionNotFound, UnknownLabel)
HTML = "text/html"
BEGIN, END = b"<style>", b"</style>"


class Detail(msgspec.Struct):
    """Status of a version's loading."""

    error_code: str = "OK"
    error_message: str = ""


class VersionStatus(msgspec.Struct):
    """One version, in TensorFlow Serving's form."""

    version: str
    state: str = "AVAILABLE"
    status: Detail = msgspec.field(default_factory=Detail)


class ModelStatus(msgspec.Struct):
    """A served model: KServe's `name` and `ready`, TensorFlow Serving's versions.

    Its labels and why a later labels file was refused, where a watch adopts them.
    """

    name: str
    ready: bool
    model_version_status: list[VersionStatus]
    labels: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    labels_refused: str | msgspec.UnsetType = msgspec.UNSET


class ModelList(msgspec.Struct):
    """The served models, as KServe V1 lists them."""

    models: list[str]


class ModelSpec(msgspec.Struct):
    """Name and version of a model, in TensorFlow Serving's words."""

    name: str
    signature_name: str
    version: str


class ModelMetadata(msgspec.Struct):
    """A model's metadata: TensorFlow Serving's, and the manifest's members."""

    model_spec: ModelSpec
    metadata: dict[str, Any]
    name: str
    version: int
    task: str
    input: dict[str, Any]
    output: dict[str, Any]
    memory: dict[str, list[int]]
    memory_bytes: int
    has_report: bool


def describe_status(
    name: str, versions: Iterable[int], failures: Mapping[int, str]
) -> ModelStatus:
    """Say which versions of a model are served, the newest first.

    Args:
        name: The model.
        versions: Its served versions.
        failures: Why others cannot be served, by version.
    """
    served = {version: VersionStatus(str(version)) for version in versions}
    failed = {
        version: VersionStatus(str(version), "END", Detail("INTERNAL", reason))
        for version, reason in failures.items()
    }
    newest_first = sorted((failed | served).items(), reverse=True)
    return ModelStatus(name, bool(served), [status for _, status in newest_first])


def describe_model(model: Model) -> dict[str, Any]:
    """Show what a model takes and answers.

    Returns:
        TensorFlow Serving's `model_spec` and `metadata` with the signature
        `serving_default`, and the manifest without what only the service needs.
    """
    manifest = model.manifest
    shown = msgspec.to_builtins(manifest)
    del shown["files"]
    version = str(manifest.version)
    signatures = {"serving_default": describe_signature(manifest)}
    return {
        "model_spec": {"name": manifest.name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": signatures}},
        **shown,
        "memory_bytes": model.memory_bytes,
        "has_report": REPORT in manifest.files,
    }


def describe_signature(manifest: Manifest) -> dict[str, Any]:
    """Write the signature of whole sequences as TensorFlow Serving writes it."""
    output = manifest.output
    names = [output["name"], *output.get("others", ())]
    shapes = [output_shape(output), *[None for _ in names[1:]]]
    return {
        "inputs": {
            field["name"]: describe_tensor(
                f"serving_default_{field['name']}:0",
                DTYPES[field["type"]],
                [-1, -1, field["size"]] if field["type"] == "vector" else [-1, -1],
            )
            for field in input_fields(manifest)
        },
        "outputs": {
            name: describe_tensor(f"StatefulPartitionedCall:{k}", "DT_FLOAT", shape)
            for k, (name, shape) in enumerate(zip(names, shapes, strict=True))
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


def input_fields(manifest: Manifest) -> list[dict[str, Any]]:
    """List the inputs of the signature: the fields of records, or the sequence."""
    schema = manifest.input
    if schema["kind"] == "record":
        return list(schema["fields"])
    return [{**schema, "name": "sequence", "type": schema["kind"]}]


def output_shape(output: dict[str, Any]) -> list[int] | None:
    """Return the shape of the main output after the last event, where it is known."""
    if "labels" in output:
        return [-1, len(output["labels"])]
    if "horizon" not in output:
        return None
    quantiles = [len(output["quantiles"])] if "quantiles" in output else []
    return [-1, output["horizon"], *quantiles]


def describe_tensor(name: str, dtype: str, shape: list[int] | None) -> dict[str, Any]:
    """Write one tensor; sizes are strings, as protocol buffers' JSON has int64."""
    dims = [{"size": str(size), "name": ""} for size in shape or ()]
    return {
        "dtype": dtype,
        "tensor_shape": {"dim": dims, "unknown_rank": shape is None},
        "name": name,
    }


@blueprint.get("")
@describes("models", "any", answer=ModelList)
def list_models() -> Response:
    """List the served models, as KServe V1 does."""
    models = ModelList(services().catalog.names())
    return json_response(msgspec.to_builtins(models))


@blueprint.get("/<model:name>")
@blueprint.get("/<model:name>/versions/<version:version>")
@blueprint.get("/<model:name>/labels/<label:label>")
@describes("models", "any", answer=ModelStatus, errors=MODEL_ERRORS)
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
@describes("models", "any", answer=ModelMetadata, errors=MODEL_ERRORS)
def metadata(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Describe what a model takes and answers, and how it was trained and measured."""
    return json_response(describe_model(find_described(name, version, label)))


def find_described(name: str, version: int | None, label: str | None) -> Model:
    """Find a model to describe; its error is in TensorFlow Serving's words."""
    try:
        return find_model(name, version, label)
    except (ModelNotFound, VersionNotFound) as error:
        error.members["error"] = no_versions(name[:80], version)
        raise


@report_blueprint.get("/<model:name>/report")
@report_blueprint.get("/<model:name>/versions/<version:version>/report")
@report_blueprint.get("/<model:name>/labels/<label:label>/report")
@describes(
    "models",
    "any",
    answer=str,
    media_types=(JSON, HTML),
    errors=(*MODEL_ERRORS, ReportNotFound),
)
def show_report(
    name: str, version: int | None = None, label: str | None = None
) -> Response:
    """Show the training report of a version as a page: figures, plots, examples."""
    manifest = find_described(name, version, label).manifest
    page = offload(read_report, Path(services().settings.models), manifest)
    response = Response(page, content_type=f"{HTML}; charset=utf-8")
    response.headers["Content-Security-Policy"] = write_policy(page)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


def read_report(models: Path, manifest: Manifest) -> bytes:
    """Read the report of a version, as it was written.

    Raises:
        ReportNotFound: The version has none, or its file is not the one written.
    """
    name, version = manifest.name, manifest.version
    if REPORT not in manifest.files:
        raise ReportNotFound(
            f"version {version} of model {name!r} has no training report; expected "
            f"{REPORT} among its files. Train it with this release's `python -m "
            "training fit`; models exported from a Keras file have none."
        )
    try:
        return read_file(Artifact(models / name / str(version), manifest), REPORT)
    except ArtifactError as error:
        raise ReportNotFound(
            f"the training report of version {version} of model {name!r} is not the "
            f"one that was written; expected {REPORT} as its manifest lists it. "
            "Restore the version's folder, or train it again."
        ) from error


def write_policy(page: bytes) -> str:
    """Allow a page its own style sheet, by its hash, and nothing else."""
    # A pass over the page: a pattern may take one for each beginning.
    style, end, _ = page.partition(BEGIN)[2].partition(END)
    digest = hashlib.sha256(style if end else b"").digest()
    return (
        f"default-src 'none'; style-src 'sha256-{base64.b64encode(digest).decode()}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
    )
