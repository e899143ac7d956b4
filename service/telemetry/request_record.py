"""Record of an answered request."""

from __future__ import annotations

from typing import NamedTuple

from service.common.value import Value


class Phases(NamedTuple):
    """What a request's time in the engine was spent on, in seconds."""

    queue: float
    fetch: float
    network: float
    commit: float


class RequestRecord(Value, frozen=True, eq=False):
    """What the log and the metrics keep of an answered request.

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
