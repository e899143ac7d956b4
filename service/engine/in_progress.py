"""Requests that run now in this process, by their idempotency keys.

A repeat that arrives while the first still runs is refused. Other processes do not know
of it: both compute, one commits, and the other finds its stored answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.engine.rows import Refused, Row
from service.errors import RequestInProgress

Name = tuple[str, str, str, str]


class InProgress:
    """The keys in use; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[Name] = set()

    @contextmanager
    def claim(
        self, tenant: str, model: str, rows: Sequence[Row | Refused]
    ) -> Iterator[Sequence[Row | Refused]]:
        """Hold the keys of rows for as long as the context lasts.

        Yields:
            The rows; those with a key that another request holds are refused.
        """
        own: set[Name] = set()
        try:
            with self._lock:
                accepted = [self._hold(tenant, model, row, own) for row in rows]
            yield accepted
        finally:
            with self._lock:
                self._names -= own

    def _hold(
        self, tenant: str, model: str, row: Row | Refused, own: set[Name]
    ) -> Row | Refused:
        if isinstance(row, Refused) or row.key is None or row.session is None:
            return row
        name = (tenant, model, row.session, row.key)
        if name in own:
            return row
        if name in self._names:
            return Refused(in_progress(row.key), row.session)
        own.add(name)
        self._names.add(name)
        return row


def in_progress(key: str) -> RequestInProgress:
    """Return the error of a repeat that came too early."""
    return RequestInProgress(
        f"a request with Idempotency-Key {key[:80]!r} is being worked on for this "
        "session. Wait for its answer, or repeat the request in a moment to get it."
    )
