"""`POST /v1/models/{model}[/versions/{n}]:stream`: a line in, a line out."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, request

from service.api.body import read_length
from service.api.context import services, tenant
from service.api.openapi import Parameter, describes
from service.api.responses import log_crash
from service.api.tenants import Tenants
from service.api.v1.lines import Lines
from service.api.v1.predict import PATHS, ROWS, find_servable
from service.api.v1.schema import ObjectRow, Returned, RowAnswer, Threshold, Top
from service.api.v1.stream import Opening, Stream, read_query
from service.errors import InvalidRequest, Unauthorized

blueprint = Blueprint("stream", __name__)

NDJSON = "application/x-ndjson"
HEADERS = {
    # Whatever state a client leaves its body in, no other request follows it.
    "Connection": "close",
    # nginx would collect answers until it has 8 kB of them.
    "X-Accel-Buffering": "no",
}
PARAMETERS = [
    Parameter("return", "query", Returned, "Outputs after a row's last event, or all."),
    Parameter("top", "query", Top, "Number of most probable labels to name."),
    Parameter("threshold", "query", Threshold, "From where on a label is decided."),
]


@blueprint.post(PATHS[0].format(verb="stream"))
@blueprint.post(PATHS[1].format(verb="stream"))
@blueprint.post(PATHS[2].format(verb="stream"))
@describes(
    "predict",
    "predict",
    body=ObjectRow | list[Any],
    answer=RowAnswer,
    media_types=(NDJSON, NDJSON),
    parameters=PARAMETERS,
    errors=ROWS["errors"],
)
def stream(name: str, version: int | None = None, label: str | None = None) -> Response:
    """Answer rows line by line, as they come.

    Newline-delimited JSON in both directions at once: each line is a row as in
    `instances`, and is answered with a line as in `predictions`, in the same order;
    a bad line with a problem document.
    """
    refuse_key()
    model = find_servable(name, version, label)
    if label is not None:
        version = model.manifest.version
    here = services()
    opening = Opening(
        partial(here.catalog.find, name, version),
        read_query(request.args),
        tenant=tenant(),
        is_version_named=version is not None,
        check_key=partial(
            check_key, here.tenants, select_key(request.environ), tenant()
        ),
    )
    crash = partial(log_crash, request_id=g.request_id)
    g.streaming = opened = Stream(here.engine, here.settings, opening, crash)
    answers = opened.run(open_lines(here.settings.max_body_bytes))
    headers = HEADERS | {"Carryover-Model-Version": str(opened.common.manifest.version)}
    return Response(answers, mimetype=NDJSON, headers=headers)


def open_lines(max_line_bytes: int) -> Lines:
    """Prepare to read the request's body, if it has one."""
    environ = request.environ
    announced = read_length(environ)
    if announced is None and not environ.get("wsgi.input_terminated"):
        return Lines(io.BytesIO(), max_line_bytes)
    return Lines(environ["wsgi.input"], max_line_bytes, announced)


def select_key(environ: dict[str, Any]) -> dict[str, Any]:
    """Keep what identifies a tenant, and not the whole request."""
    names = ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY")
    return {name: environ[name] for name in names if name in environ}


def check_key(tenants: Tenants, environ: dict[str, Any], owner: str) -> None:
    """Check that a stream's key is still its tenant's.

    Raises:
        CarryoverError: It is not, or has another scope now.
    """
    if tenants.identify(environ, "predict") != owner:
        raise Unauthorized(
            "the API key of the stream belongs to another tenant now; expected the "
            "tenant that began it. Begin another stream."
        )


def refuse_key() -> None:
    """Refuse a header that would promise what a stream does not keep.

    Raises:
        InvalidRequest: The request has an idempotency key.
    """
    if "Idempotency-Key" in request.headers:
        raise InvalidRequest(
            "Idempotency-Key names a request that can be repeated as a whole; a stream "
            "cannot. Leave it out, and send `at` in the lines: a line sent again with "
            "the same `at` gets its stored answer."
        )
