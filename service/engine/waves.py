"""Waves: rows of a request that may advance together, one wave after another.

Rows of different sessions advance together; rows of one session one after another.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.rows import Refused, Row
from service.errors import CarryoverError, EarlierRowFailed, SessionContended


def group_into_waves(rows: Sequence[Row | Refused]) -> Sequence[Sequence[int]]:
    """Sort rows into waves in which no session occurs twice; later rows wait."""
    if len(rows) == 1 or len({row.session for row in rows}) == len(rows):
        return [range(len(rows))]
    waves: list[list[int]] = []
    seen: dict[str, int] = {}
    for k, row in enumerate(rows):
        wave = 0
        if row.session is not None:
            wave = seen.get(row.session, 0)
            seen[row.session] = wave + 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(k)
    return waves


def earlier_row_failed(session: str) -> CarryoverError:
    """Return the error of a row after a failed one: it would leave a gap."""
    return EarlierRowFailed(
        f"an earlier row of session {session!r} in this request failed, so this one "
        "was not applied. Fix that row, then send it and those after it again."
    )


def contention_error(row: Row, seconds: float) -> CarryoverError:
    """Return the error of a session that others kept changing."""
    name = "the token's sequence" if row.session is None else f"session {row.session!r}"
    return SessionContended(
        f"{name} was changed by other requests each time this one was "
        f"computed, for {seconds:g} s; nothing was stored. Send its "
        "events from one client at a time, then repeat the request."
    )
