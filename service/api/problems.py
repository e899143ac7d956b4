"""Errors as HTTP says them: RFC 9457 problem documents, and the status of each class.

The one file that knows the status of an error. Every problem also has `error`, which
the clients of TensorFlow Serving and Triton read, and a stable `code`.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import orjson

from service import errors
from service.common.value import Value
from service.engine.rows import Refused, Row
from service.errors import (
    Conflict,
    CorruptRecord,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    NonFiniteResult,
    Overloaded,
    SessionGone,
    StoreFull,
    TokenExpired,
    TooManyEvents,
    TooManyRows,
    VersionNotFound,
)

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
CHALLENGE = 'Bearer realm="carryover"'
TOO_LARGE = (
    "the body is longer than {limit} bytes. Split the rows over several requests; "
    "sessions carry the memory across them."
)
# When another try is worth it: a store that refused is swept every half minute, other
# requests to a session take milliseconds.
RETRY_AFTER_SECONDS: dict[type[errors.CarryoverError], int] = {
    errors.StoreFull: 30,
    errors.StoreUnavailable: 30,
    errors.RequestInProgress: 1,
    errors.Overloaded: 1,
    errors.RateLimited: 1,  # at least; the error says when its window ends
    errors.TooManyAtOnce: 1,
    errors.SessionContended: 1,
}

# The most specific class wins: a class without a row has its parent's status.
STATUS: dict[type[errors.CarryoverError], HTTPStatus] = {
    errors.CarryoverError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.IdempotencyMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.PlainMemoryRefused: HTTPStatus.FORBIDDEN,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.NotServed: HTTPStatus.NOT_IMPLEMENTED,
    errors.Gone: HTTPStatus.GONE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.StoreFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
# Each call that advances rows may answer them.
ROW_ERRORS = [
    InvalidRequest,
    ModelNotFound,
    VersionNotFound,
    SessionGone,
    TokenExpired,
    Conflict,
    NonFiniteResult,
    CorruptRecord,
    DeadlineExceeded,
    Overloaded,
    StoreFull,
]


class Answer(Value, frozen=True):
    """Answer of a call, before any web framework.

    Args:
        status: HTTP status.
        body: The body.
        mimetype: Its type.
        headers: Further headers.
        code: Code of the problem, if it is one.
        num_rows: Rows of the request, for the log.
    """

    status: int
    body: bytes
    mimetype: str
    headers: dict[str, str]
    code: str | None = None
    num_rows: int | None = None


def status_of(error: errors.CarryoverError) -> int:
    """Return the HTTP status of an error."""
    return next(int(STATUS[cls]) for cls in type(error).__mro__ if cls in STATUS)


def problem(error: errors.CarryoverError) -> dict[str, object]:
    """Describe an error as a problem document.

    Returns:
        `type`, `title`, `status`, `detail`, `error`, `code`, and the error's members.
    """
    return {
        "type": "about:blank",
        "title": error.code.replace("_", " ").capitalize(),
        "status": status_of(error),
        "detail": error.detail,
        "error": error.detail,
        "code": error.code,
        **error.members,
    }


def answer_problem(*failures: errors.CarryoverError) -> Answer:
    """Answer a request that failed.

    A lone error is the request's; of several rows' errors, the first speaks for them
    and `rows` holds each.
    """
    first = failures[0]
    body, status = problem(first), status_of(first)
    if len(failures) > 1:
        body["rows"] = [problem(failure) for failure in failures]
    data = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    usual = RETRY_AFTER_SECONDS.get(type(first))
    seconds = first.members.get("retry_after_seconds", usual)
    headers = {"Retry-After": str(seconds)} if seconds else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    return Answer(status, data, PROBLEM_JSON, headers, first.code)


def too_many_rows(field: str, num_rows: int, max_rows: int) -> TooManyRows:
    """Return the error of a request with more rows than are accepted."""
    return TooManyRows(
        f"{field} has {num_rows} rows; at most {max_rows} are accepted in one request. "
        "Send the rest in another.",
        max_rows=max_rows,
    )


def limit_events(rows: Sequence[Row | Refused], max_events: int, what: str) -> None:
    """Refuse answers about more events than one can reasonably hold.

    Raises:
        TooManyEvents: The rows hold more events together.
    """
    events = sum(len(row.sequence) for row in rows if isinstance(row, Row))
    if events > max_events:
        raise TooManyEvents(
            f"the rows hold {events} events; at most {max_events} are {what} one by "
            "one in a request. Split them over several requests of a session.",
            max_events=max_events,
        )
