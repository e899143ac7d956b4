"""Access log: one structured line, one count and, with tracing on, one span a request.

None contains a payload.
The record of a request comes from Flask's hooks or from the fast path.
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

from service.common.text import format_time
from service.engine.job import Timings
from service.registry.catalog import Model
from service.telemetry import metrics, tracing
from service.telemetry.request_record import Phases, RequestRecord, parse_traceparent

if TYPE_CHECKING:
    from service.api.v1.stream import Stream

log = logging.getLogger(__name__)


def _log(line: Callable[[], str]) -> None:
    log.info("%s", line())


_write: Callable[[Callable[[], str]], None] = _log

# Ids that come in are echoed and logged: nothing that could forge a line or a header.
# New ones are those of a process, counted: randomness costs a call of the system.
_process, _number = os.urandom(12).hex(), count()
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


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
    record = RequestRecord(
        g.request_id,
        time.perf_counter() - g.began,
        request.method,
        request.url_rule.rule if request.url_rule else None,
        *name_model(g.get("model")),
        g.get("rows"),
        response.status_code,
        g.get("code"),
        request.headers.get("traceparent", ""),
        phases=list_phases(g.get("timings")),
    )
    response.headers.update(name_request(record))
    stream = g.get("streaming")
    if stream is None:
        log_request(record)
    else:
        response.call_on_close(partial(finish_stream, record, stream, g.began))
    return response


def finish_stream(record: RequestRecord, stream: Stream, began: float) -> None:
    """Write the line of a stream that has ended."""
    seconds = time.perf_counter() - began
    rows = stream.num_rows
    log_request(record.replace(seconds=seconds, num_rows=rows, are_rows_counted=True))


def name_model(model: Model | None) -> tuple[str | None, int | None]:
    """Return the name and the version of a model; None twice for no model."""
    return (model.manifest.name, model.manifest.version) if model else (None, None)


def name_request(record: RequestRecord) -> dict[str, str]:
    """Return the headers that name a request to the client."""
    headers = {"X-Request-Id": record.request_id}
    if record.traceparent and parse_traceparent(record.traceparent):
        headers["traceparent"] = record.traceparent.strip()
    return headers


def list_phases(timings: Timings | None) -> Phases | None:
    """Return what was measured, for the record of a request."""
    if timings is None:
        return None
    return Phases(timings.queue, timings.fetch, timings.network, timings.commit)


def log_request(record: RequestRecord) -> None:
    """Log, count and trace a request."""
    metrics.count(record)
    is_health = (record.route or "").startswith("/v2/health")
    if tracing.running is not None and not is_health:
        tracing.trace(record)
    # A supervisor asks for health every few seconds; only bad news is worth a line.
    level = logging.DEBUG if is_health and record.status < 400 else logging.INFO
    if log.isEnabledFor(level):
        _write(partial(write_line, record, time.time()))


def write_line(record: RequestRecord, now: float) -> str:
    """Write a request's line: a JSON object."""
    line = {
        "time": format_time(now),
        "request_id": record.request_id,
        "method": record.method,
        "route": record.route,
        "model": record.model,
        "version": record.version,
        "rows": record.num_rows,
        "status": record.status,
        "code": record.code,
        "milliseconds": round(1000 * record.seconds, 3),
    }
    if record.traceparent and (trace := parse_traceparent(record.traceparent)):
        line |= {"trace_id": trace.trace_id, "parent_id": trace.parent_id}
    return orjson.dumps(line).decode()


def write_with(write: Callable[[Callable[[], str]], None]) -> None:
    """Send lines to this function, not to `logging`.

    A record of the logging module takes as long to make and to pass on as all the rest
    of a line.
    """
    global _write
    _write = write
