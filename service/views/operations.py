"""`GET /metrics`: what a Prometheus server scrapes."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service import metrics
from service.openapi import describes
from service.problems import JSON

blueprint = Blueprint("operations", __name__)


@blueprint.get("/metrics")
@describes("operations", answer=str, media_types=(JSON, "text/plain"))
def show_metrics() -> Response:
    """Show the metrics of all workers, in Prometheus's text form."""
    return Response(metrics.expose(), content_type=CONTENT_TYPE_LATEST)
