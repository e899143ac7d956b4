"""One structured line per request, and its id; never a payload, never memory."""

from __future__ import annotations

import logging
import re
import time
import uuid

import orjson
from flask import Flask, Response, g, request

from service.times import format_time
from service.traceparent import parse_traceparent

log = logging.getLogger(__name__)

# Ids that come in are echoed and logged: nothing that could forge a line or a header.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def init_app(app: Flask) -> None:
    """Register the hooks."""
    app.before_request(begin)
    app.after_request(finish)


def begin() -> None:
    """Note when the request began and under which id."""
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def finish(response: Response) -> Response:
    """Write the line and hand the id to the client."""
    response.headers["X-Request-Id"] = g.request_id
    model = g.get("model")
    line = {
        "time": format_time(time.time()),
        "request_id": g.request_id,
        "method": request.method,
        # The rule, not the path: a path may hold a session's id.
        "route": request.url_rule.rule if request.url_rule else None,
        "model": model.manifest.name if model else None,
        "version": model.manifest.version if model else None,
        "rows": g.get("rows"),
        "status": response.status_code,
        "code": g.get("code"),
        "milliseconds": round(1000 * (time.perf_counter() - g.began), 3),
    }
    if (given := request.headers.get("traceparent")) and (
        trace := parse_traceparent(given)
    ):
        line |= {"trace_id": trace.trace_id, "parent_id": trace.parent_id}
        response.headers["traceparent"] = given.strip()
    # A supervisor asks for health every few seconds; only bad news is worth a line.
    is_routine = request.path.startswith("/v2/health") and response.status_code < 400
    log.log(logging.DEBUG if is_routine else logging.INFO, orjson.dumps(line).decode())
    return response
