"""`POST /v2/models/{model}[/versions/{n}]/infer`: the Open Inference Protocol."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, request

from service import inferring
from service.body import reserve
from service.current import find_model, services, tenant
from service.dialects.v2_described import InferAnswer
from service.dialects.v2_forms import Form
from service.inferring import BINARY, HEADER_LENGTH, Asked, Parts
from service.openapi import describes
from service.problems import respond
from service.views.predict import ROWS, read_body
from service.views.v2_examples import infer_examples

blueprint = Blueprint("v2", __name__, url_prefix="/v2")


@blueprint.post("/models/<model:name>/infer")
@blueprint.post("/models/<model:name>/versions/<version:version>/infer")
@describes(
    "inference",
    "predict",
    body=Form,
    answer=InferAnswer,
    more_answers=[BINARY],
    errors=ROWS["errors"],
    examples=infer_examples,
)
def infer(name: str, version: int | None = None) -> Response:
    """Advance rows, in JSON or binary tensors, and the sequence they belong to."""
    served = services()
    asked = Asked(
        model=find_model(name, version),
        tenant=tenant(),
        version=version,
        key=request.headers.get("Idempotency-Key"),
        header_length=request.headers.get(HEADER_LENGTH),
        coding=request.headers.get("Content-Encoding", ""),
        accepted=request.headers.get("Accept-Encoding", ""),
        reserve=partial(reserve, request.environ, served.bodies, tenant()),
    )
    parts = Parts(served.engine, served.settings, served.statistics)
    return respond(inferring.infer(parts, asked, read_body()))
