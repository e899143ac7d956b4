"""Session count: a thread that counts live and expired sessions for the metrics.

A session expires by the clock and nobody is asked, so how many are live is counted by a
walk over the store. One process of a machine walks; each piece is followed by a rest of
many times its length, so that a large store is counted less often, not at the cost of
requests.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

from service.common.runs import NOW
from service.errors import CarryoverError
from service.sessions.lifecycle import Sessions
from service.sessions.record import read_end
from service.telemetry.metrics import note_sessions

# From the end of a count to the next.
INTERVAL_SECONDS = 30.0
# Entries that are read at a stretch: no request continues meanwhile. As many as take a
# millisecond, within these bounds: pages that are not in memory take a hundred times
# as long.
PIECE_ENTRIES = 250
PIECE_BOUNDS = 32, 1000
PIECE_SECONDS = 0.001
# Times as long as a piece takes: 5% of a core, of one process of a machine.
REST = 20
MAX_REST_SECONDS = 1.0
MARK_BYTES = 64
# Model names end with no control character: these are chains of tokens, and shadows.
LAST_CONTROL = 0x1F
log = logging.getLogger(__name__)


class SessionCount(threading.Thread):
    """Counts sessions now and then until it is stopped.

    Args:
        sessions: What to count.
        list_models: Returns the served models; one without a session counts as 0.
        is_clock_trusted: Asked before each count; where it says no, sessions that have
            expired since the one before are left to a later one.
        mark: File of the machine that says up to when expired sessions were counted.
            The process that locks it counts; another takes over when it ends.
        clock: Seconds since the epoch.
        wait: Waits some seconds and returns whether to stop; by default it returns
            early when `stop` is called.
    """

    def __init__(
        self,
        sessions: Sessions,
        list_models: Callable[[], Iterable[str]],
        is_clock_trusted: Callable[[], bool],
        mark: Path,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(name="session-count", daemon=True)
        self._sessions = sessions
        self._list_models = list_models
        self._is_clock_trusted = is_clock_trusted
        self._path = mark
        self._clock = clock
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._mark: int | None = None
        self._counted_until = clock()
        self._seen: set[str] = set()
        self._is_failing = False

    def run(self) -> None:
        """Count until stopped; a failed count is logged and made again later."""
        try:
            while not self._stopped.is_set():
                self._try()
                if self._wait(INTERVAL_SECONDS):
                    return
        finally:
            self.release()

    def _try(self) -> None:
        try:
            if self.lock():
                self.count()
        except (CarryoverError, OSError) as error:
            log.warning("sessions were not counted, next in a while: %s", error)

    def count(self) -> None:
        """Walk over the store once and publish what was found."""
        until, is_trusted = self._clock(), self._is_clock_trusted()
        since = min(self._counted_until, until) if is_trusted else until
        live, expired, newly_expired = Counter[str](), Counter[str](), Counter[str]()
        after: bytes | None = b""
        limit = PIECE_ENTRIES
        while after is not None:
            began = time.perf_counter()
            heads, after = self._sessions.survey(after, limit)
            for key, head in heads:
                model, end = read_model(key), read_end(head)
                if not model or end is None:
                    continue
                was_ended, at = end
                if was_ended:
                    continue
                if at > until:
                    live[model] += 1
                else:
                    expired[model] += 1
                    newly_expired[model] += at > since
            taken = time.perf_counter() - began
            rest = min(REST * taken, MAX_REST_SECONDS)
            limit = choose_limit(limit, taken)
            if after is not None and self._wait(rest):
                return
        self._seen |= {*self._list_models(), *live, *expired}
        counted = {model: live[model] for model in self._seen}
        note_sessions(counted, expired, newly_expired, until)
        if is_trusted:
            self._write_mark(until)

    def lock(self) -> bool:
        """Return whether this process counts; without a lock file, each does."""
        if self._mark is not None:
            return True
        try:
            # Kept open: the lock ends with the process.
            mark = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._note_failure(error)
            return True
        try:
            fcntl.flock(mark, NOW)
        except OSError:
            os.close(mark)
            return False
        self._mark = mark
        self._counted_until = read_mark(mark, self._counted_until)
        return True

    def _write_mark(self, until: float) -> None:
        self._counted_until = until
        if self._mark is None:
            return
        try:
            content = repr(until).encode().ljust(MARK_BYTES)
            os.pwrite(self._mark, content, 0)
            self._is_failing = False
        except OSError as error:
            self._note_failure(error)

    def _note_failure(self, error: OSError) -> None:
        if not self._is_failing:  # logged once
            reason = error.strerror
            log.error("%s: %s; each process counts sessions", self._path, reason)
        self._is_failing = True

    def release(self) -> None:
        """Let another process count."""
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def stop(self) -> None:
        """Stop a started count, between two pieces, and wait until it has."""
        self._stopped.set()
        self.join()


def choose_limit(limit: int, taken: float) -> int:
    """Choose how many entries to read next.

    Args:
        limit: Of the piece before.
        taken: Seconds that it took.
    """
    least, most = PIECE_BOUNDS
    return max(least, min(most, round(limit * PIECE_SECONDS / max(taken, 1e-6))))


def read_model(key: bytes) -> str:
    """Read a session's model from its key; empty for what is no session's."""
    parts = key.split(b"\0")
    if len(parts) != 3 or not parts[1] or parts[1][-1] <= LAST_CONTROL:
        return ""
    return parts[1].decode(errors="replace")


def read_mark(mark: int, default: float) -> float:
    """Read up to when sessions were counted; the default where nobody knows."""
    with contextlib.suppress(OSError, ValueError):
        until = float(os.pread(mark, MARK_BYTES, 0))
        if 0 < until <= default:
            return until
    return default


def name_mark(state: Path, memory: str) -> Path:
    """Name the mark of a store: services of one state may have several."""
    digest = blake2b(memory.encode(), digest_size=8).hexdigest()
    return state / f"session-count-{digest}"
