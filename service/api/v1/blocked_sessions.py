"""Sessions of a stream that are blocked after one of their lines failed.

A stream continues after a failed line, and its client may have sent the next lines of
the session already. They are refused until a line of the session says where it
continues (`at`) or that it restarts (`start`). A line that cannot be read may belong to
any session: after it, every session is blocked.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.rows import Refused, Result, Row
from service.errors import (
    BodyTooLarge,
    CarryoverError,
    EarlierRowFailed,
    InvalidJson,
)
from service.sessions.record import MAX_SESSION_BYTES

# Maximum number of sessions remembered as failed, and as resumed after all failed: 200
# bytes each at most. One more failed session holds all back; one more resumed one stays
# blocked.
MAX_SESSIONS = 10_000
# What a line is refused with that is too long or not JSON.
UNREADABLE = (BodyTooLarge, InvalidJson)


class BlockedSessions:
    """The sessions of one stream that wait after a failed line."""

    def __init__(self) -> None:
        self._failed: set[str] = set()
        self._have_all = False
        self._resumed: set[str] = set()  # since all of them failed

    def block_all(self) -> None:
        """Block every session: a line of an unknown session was lost."""
        self._have_all = True
        self._resumed.clear()

    def is_idle(self) -> bool:
        """Return whether no session is blocked."""
        return not self._failed and not self._have_all

    def hold_back(
        self, rows: Sequence[Row | Refused], waiting: Sequence[int]
    ) -> tuple[list[int], dict[int, Result]]:
        """Split rows into those that may advance, and those of blocked sessions.

        Args:
            rows: Of one batch.
            waiting: Positions of those that have no result yet.

        Returns:
            Positions of the first, and the errors of the others.
        """
        if self.is_idle():
            return list(waiting), {}
        resumed: set[str] = set()
        free: list[int] = []
        blocked: dict[int, Result] = {}
        for k in waiting:
            row = rows[k]
            if row.session is None or isinstance(row, Refused):
                free.append(k)
            elif row.session in resumed or resumes(row):
                resumed.add(row.session)
                free.append(k)
            elif self._is_blocked(row.session):
                blocked[k] = earlier_line_failed(row.session)
            else:
                free.append(k)
        return free, blocked

    def note(
        self,
        rows: Sequence[Row | Refused],
        tried: Sequence[int],
        results: Sequence[Result],
    ) -> tuple[dict[int, Result], list[int]]:
        """Record which sessions failed, and which continue.

        Args:
            rows: Of one batch.
            tried: Positions of those that were advanced.
            results: What came of each.

        Returns:
            Results, and positions of rows to try again: they were blocked with
            an earlier one, but say where they continue.
        """
        noted: dict[int, Result] = {}
        again: list[int] = []
        resumed: set[str] = set()
        for k, result in zip(tried, results, strict=True):
            row = rows[k]
            session = row.session
            if session is None:
                noted[k] = result
            elif isinstance(result, EarlierRowFailed):
                if session in resumed or (isinstance(row, Row) and resumes(row)):
                    resumed.add(session)
                    again.append(k)
                else:
                    noted[k] = earlier_line_failed(session)
            else:
                noted[k] = result
                self._mark(session, isinstance(result, CarryoverError))
        return noted, again

    def _mark(self, session: str, has_failed: bool) -> None:
        if not has_failed:
            self._failed.discard(session)
            if self._have_all and len(self._resumed) < MAX_SESSIONS:
                self._resumed.add(session)
        elif len(session) <= MAX_SESSION_BYTES:  # no session has a longer id
            self._failed.add(session)
            self._resumed.discard(session)
            if len(self._failed) > MAX_SESSIONS:
                self._failed.clear()
                self.block_all()

    def _is_blocked(self, session: str) -> bool:
        if self._have_all:
            return session not in self._resumed
        return session in self._failed


def resumes(row: Row) -> bool:
    """Return whether a row says where its session continues."""
    return row.start or row.at is not None


def earlier_line_failed(session: str) -> EarlierRowFailed:
    """Return the error of a line that is refused because an earlier one failed."""
    return EarlierRowFailed(
        "an earlier line of this stream failed that was, or may have been, of session "
        f"{session!r}, so this one was not applied. Send its lines again from that one "
        "on, the first with `at`, the step the session is at."
    )
