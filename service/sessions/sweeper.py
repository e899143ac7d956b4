"""The sweeper: a thread that deletes records after their retention time.

Expiry itself needs no sweep: each read decides it. A sweep only frees the space.
A sweep cannot be undone, so it waits while the wall clock cannot be trusted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service.common.loop import look_up
from service.errors import CarryoverError
from service.sessions.lifecycle import Sessions

INTERVAL_SECONDS = 30.0
# Small enough that a sweep's transaction never holds up a step noticeably.
RECORDS_PER_TRANSACTION = 128
log = logging.getLogger(__name__)


class Sweeper(threading.Thread):
    """Sweeps now and then until it is stopped.

    Args:
        sessions: What to sweep.
        is_clock_trusted: Asked before each transaction; where it says no, nothing is
            forgotten before the next sweep.
        wait: Waits some seconds and returns whether to stop; by default it returns
            early when `stop` is called.
    """

    def __init__(
        self,
        sessions: Sessions,
        is_clock_trusted: Callable[[], bool],
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._sessions = sessions
        self._is_clock_trusted = is_clock_trusted
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait

    def run(self) -> None:
        """Sweep until stopped; a failed sweep is logged and tried again later."""
        while not self._wait(INTERVAL_SECONDS):
            try:
                self._sweep()
            except (CarryoverError, OSError) as error:
                log.warning("sweep failed, next in a while: %s", error)

    def _sweep(self) -> None:
        while not self._stopped.is_set() and self._is_clock_trusted():
            if self._sessions.sweep(RECORDS_PER_TRANSACTION) < RECORDS_PER_TRANSACTION:
                return
            look_up()  # under gevent this is no thread: let requests run

    def stop(self) -> None:
        """Stop a started sweeper, between two transactions, and wait until it has."""
        self._stopped.set()
        self.join()
