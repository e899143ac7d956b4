"""`POST /v2/models/{model}[/versions/{n}]/infer`: the Open Inference Protocol."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, request

from service.api.body import reserve
from service.api.context import find_model, measure, read_body, services, tenant
from service.api.openapi import describes
from service.api.problems import respond
from service.api.rows import ROW_ERRORS
from service.api.v2.answer_schema import InferAnswer
from service.api.v2.examples import infer_examples
from service.api.v2.infer import (
    BINARY,
    HEADER_LENGTH,
    InferRequest,
    Parts,
    answer_infer,
)
from service.api.v2.schema import Form

blueprint = Blueprint("v2", __name__, url_prefix="/v2")


@blueprint.post("/models/<model:name>/infer")
@blueprint.post("/models/<model:name>/versions/<version:version>/infer")
@describes(
    "inference",
    "predict",
    body=Form,
    answer=InferAnswer,
    more_answers=[BINARY],
    errors=ROW_ERRORS,
    examples=infer_examples,
)
def infer(name: str, version: int | None = None) -> Response:
    """Advance rows, in JSON or binary tensors, and the sequence they belong to."""
    served = services()
    asked = InferRequest(
        model=find_model(name, version),
        tenant=tenant(),
        version=version,
        key=request.headers.get("Idempotency-Key"),
        header_length=request.headers.get(HEADER_LENGTH),
        coding=request.headers.get("Content-Encoding", ""),
        accepted=request.headers.get("Accept-Encoding", ""),
        reserve=partial(reserve, request.environ, served.bodies, tenant()),
        timings=measure(),
    )
    parts = Parts(served.engine, served.settings, served.statistics)
    return respond(answer_infer(parts, asked, read_body()))
