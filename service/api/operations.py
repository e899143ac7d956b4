"""`GET /`, for KServe's clients and browsers, and `GET /metrics` for Prometheus."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api import playground
from service.api.context import services
from service.api.openapi import describes
from service.api.problems import JSON, json_response
from service.errors import CarryoverError
from service.telemetry import metrics

blueprint = Blueprint("operations", __name__)


class Alive(msgspec.Struct):
    """Liveness in the words of KServe's V1 protocol."""

    status: str


@blueprint.get("/")
@describes("operations", "open", answer=Alive)
def alive() -> Response:
    """Report that the process answers, as the servers of KServe V1 do.

    A client that prefers `text/html`, as browsers do, gets the playground.
    """
    if playground.accepts_page():
        response = playground.restrict(playground.send("index.html"))
    else:
        response = json_response({"status": "alive"})
    response.vary.add("Accept")
    return response


@blueprint.get("/metrics")
@describes("operations", "admin", answer=str, media_types=(JSON, "text/plain"))
def show_metrics() -> Response:
    """Show the metrics of all workers, in Prometheus's text form."""
    try:
        num_stored = services().engine.sessions.count()
    except CarryoverError:  # the rest is wanted then more than ever
        num_stored = None
    text = metrics.expose(num_stored)
    return Response(text, content_type=CONTENT_TYPE_LATEST)
