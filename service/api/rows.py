"""What every API shares about the rows of a request: errors, limits, and replays."""

from __future__ import annotations

from collections.abc import Sequence

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
