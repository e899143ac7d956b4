"""Record of an answered request, and the trace it belongs to.

The header `traceparent` is read strictly by the standard; one that is not valid is
ignored.

Reference: W3C, Trace Context, 2021, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from typing import NamedTuple

from service.common.value import Value

# Version, trace, parent, flags; what a later version adds follows another dash.
HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
INVALID_VERSION = "ff"
SAMPLED = 0x01


class Phases(NamedTuple):
    """Durations of a request's phases in the engine, in seconds."""

    queue: float
    fetch: float
    network: float
    commit: float


class RequestRecord(Value, frozen=True, eq=False):
    """Record of an answered request, for the log and the metrics.

    Args:
        request_id: Its id.
        seconds: How long its answer took.
        method: Of HTTP.
        route: The rule of its address, not the path: that may hold a session's id.
        model: Name of the model it was for; None for no model.
        version: Of that model.
        num_rows: Rows it contained, if it is a call that has them.
        status: Of the answer.
        code: Of the problem, if there was one.
        traceparent: Its W3C trace header, or empty.
        are_rows_counted: Whether its rows were counted while it ran.
        phases: What its time in the engine was spent on, if that was measured.
    """

    request_id: str
    seconds: float
    method: str
    route: str | None
    model: str | None
    version: int | None
    num_rows: int | None
    status: int
    code: str | None
    traceparent: str = ""
    are_rows_counted: bool = False
    phases: Phases | None = None


class TraceParent(NamedTuple):
    """W3C trace context of a request: its trace and its caller's span.

    Attributes:
        trace_id: 32 hexadecimal digits, not all zero.
        parent_id: 16 hexadecimal digits, not all zero: the caller's span.
        is_sampled: Whether the caller may have recorded its part.
    """

    trace_id: str
    parent_id: str
    is_sampled: bool


def parse_traceparent(header: str | None) -> TraceParent | None:
    """Read a header; None without a valid one."""
    found = HEADER.fullmatch(header.strip(" \t")) if header else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == INVALID_VERSION or (version == "00" and more is not None):
        return None
    if not (trace_id.strip("0") and parent_id.strip("0")):
        return None
    return TraceParent(trace_id, parent_id, bool(int(flags, 16) & SAMPLED))
