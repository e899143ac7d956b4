"""`GET /v1/models/{model}/report`: the page that training wrote, as a browser shows it.

The page comes with the model, so it is trusted no more than a file from elsewhere: it
runs nothing, loads nothing, and gets the one style sheet that it has.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from flask import Blueprint, Response, request

from service.api.context import services
from service.api.openapi import describes
from service.api.problems import JSON
from service.api.v1.models import MISSING, REPORT, find_described
from service.common.loop import offload
from service.errors import ReportNotFound
from service.registry.artifact import Artifact, ArtifactError, Manifest, read_file

HTML = "text/html"
BEGIN, END = b"<style>", b"</style>"

blueprint = Blueprint("report", __name__, url_prefix="/v1/models")


@blueprint.get("/<model:name>/report")
@blueprint.get("/<model:name>/versions/<version:version>/report")
@blueprint.get("/<model:name>/labels/<label:label>/report")
@describes(
    "models",
    "any",
    answer=str,
    media_types=(JSON, HTML),
    errors=(*MISSING, ReportNotFound),
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
