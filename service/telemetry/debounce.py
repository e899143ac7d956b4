"""Work that can wait a moment, so that one go of it serves many requests."""

from __future__ import annotations

import threading
from collections.abc import Callable

# A person who watches does not notice; a worker at full load has hundreds of requests.
DELAY_SECONDS = 0.2


class Later:
    """Runs a piece of work a moment after it was asked for, once for all who ask.

    Args:
        work: What to run, on a thread of its own.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._is_coming = False

    def ask(self) -> None:
        """Have the work run soon, if it is not going to be anyway."""
        if not self._is_coming:
            self._is_coming = True
            timer = threading.Timer(DELAY_SECONDS, self._run)
            timer.daemon = True
            timer.start()

    def _run(self) -> None:
        # Before the work: what is asked for during it is done the next time.
        self._is_coming = False
        self._work()
