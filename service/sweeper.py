"""The sweeper: a thread that removes records whose time is long past.

Expiry itself needs no sweep, it is decided at every look; this only frees the space.
"""

from __future__ import annotations

import logging
import threading

from service.memory.sessions import Sessions

INTERVAL_SECONDS = 30.0
# Small enough that a sweep's transaction never holds up a step noticeably.
RECORDS_PER_TRANSACTION = 500
log = logging.getLogger(__name__)


class Sweeper(threading.Thread):
    """Sweeps now and then while the process lives.

    Args:
        sessions: What to sweep.
        interval_seconds: Pause between sweeps.
    """

    def __init__(
        self, sessions: Sessions, interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._sessions = sessions
        self._interval_seconds = interval_seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sweep until stopped; a failed sweep is logged and tried again later."""
        while not self._stopped.wait(self._interval_seconds):
            try:
                while self._sessions.sweep(RECORDS_PER_TRANSACTION):
                    pass
            except OSError as error:
                log.warning("sweep failed, next in a while: %s", error)

    def stop(self) -> None:
        """Stop after the sweep under way."""
        self._stopped.set()
