"""One structured line and one count per request, and its id; never a payload.

A request is told of by what Flask knows of it, or by the short way past Flask.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import orjson
from flask import Flask, Response, g, request

from service import metrics
from service.catalog import Model
from service.times import format_time
from service.traceparent import parse_traceparent
from service.value import Value

if TYPE_CHECKING:
    from service.streaming import Stream

log = logging.getLogger(__name__)
_write: Callable[[str], None] = partial(log.log, logging.INFO)

# Ids that come in are echoed and logged: nothing that could forge a line or a header.
# New ones are those of a process, counted: randomness costs a call of the system.
_process, _number = os.urandom(12).hex(), count()
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Told(Value, frozen=True, eq=False):
    """What is told of a request that was answered.

    Args:
        request_id: Its id.
        seconds: How long its answer took.
        method: Of HTTP.
        route: The rule of its address, not the path: that may hold a session's id.
        model: The model it was for, if any.
        num_rows: Rows it held, if it is a call that has them.
        status: Of the answer.
        code: Of the problem, if there was one.
        traceparent: Its W3C trace header, or nothing.
        are_rows_counted: Whether its rows were counted while it went on.
    """

    request_id: str
    seconds: float
    method: str
    route: str | None
    model: Model | None
    num_rows: int | None
    status: int
    code: str | None
    traceparent: str = ""
    are_rows_counted: bool = False


def init_app(app: Flask) -> None:
    """Register the hooks."""
    app.before_request(begin)
    app.after_request(finish)


def choose_id(given: str) -> str:
    """Return the id a request came with, if it can be one, or a new one."""
    if given and REQUEST_ID.fullmatch(given):
        return given
    return f"{_process}{next(_number):08x}"


def begin() -> None:
    """Note when the request began and under which id."""
    g.began = time.perf_counter()
    g.request_id = choose_id(request.headers.get("X-Request-Id", ""))


def finish(response: Response) -> Response:
    """Write the line, a stream's at its end, and hand the id to the client."""
    told = Told(
        g.request_id,
        time.perf_counter() - g.began,
        request.method,
        request.url_rule.rule if request.url_rule else None,
        g.get("model"),
        g.get("rows"),
        response.status_code,
        g.get("code"),
        request.headers.get("traceparent", ""),
    )
    response.headers.update(name_request(told))
    stream = g.get("streaming")
    if stream is None:
        tell(told)
    else:
        response.call_on_close(partial(finish_stream, told, stream, g.began))
    return response


def finish_stream(told: Told, stream: Stream, began: float) -> None:
    """Write the line of a stream that has ended."""
    seconds = time.perf_counter() - began
    rows = stream.num_rows
    tell(told.replace(seconds=seconds, num_rows=rows, are_rows_counted=True))


def name_request(told: Told) -> dict[str, str]:
    """Return the headers that name a request to the client."""
    headers = {"X-Request-Id": told.request_id}
    if told.traceparent and parse_traceparent(told.traceparent):
        headers["traceparent"] = told.traceparent.strip()
    return headers


def tell(told: Told) -> None:
    """Log and count a request."""
    manifest = told.model.manifest if told.model else None
    metrics.count(told)
    line = {
        "time": format_time(time.time()),
        "request_id": told.request_id,
        "method": told.method,
        "route": told.route,
        "model": manifest.name if manifest else None,
        "version": manifest.version if manifest else None,
        "rows": told.num_rows,
        "status": told.status,
        "code": told.code,
        "milliseconds": round(1000 * told.seconds, 3),
    }
    if told.traceparent and (trace := parse_traceparent(told.traceparent)):
        line |= {"trace_id": trace.trace_id, "parent_id": trace.parent_id}
    # A supervisor asks for health every few seconds; only bad news is worth a line.
    is_routine = (told.route or "").startswith("/v2/health") and told.status < 400
    level = logging.DEBUG if is_routine else logging.INFO
    if log.isEnabledFor(level):
        _write(orjson.dumps(line).decode())


def write_with(write: Callable[[str], None]) -> None:
    """Write lines with a function from now on.

    A record of the logging module takes as long to make and to pass on as all the rest
    of a line.
    """
    global _write
    _write = write
