"""Debounce: work that runs a moment after it is triggered, once for many triggers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from service.common.loop import start_on_loop

# A person who watches does not notice; a worker at full load has hundreds of requests.
DELAY_SECONDS = 0.2


class Debouncer:
    """Runs work a moment after the first trigger, once for all triggers until then.

    Args:
        work: What to run, on a thread of its own.

    Attributes:
        is_scheduled: Whether it will run; whoever triggers often looks here first.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.is_scheduled = False

    def trigger(self) -> None:
        """Schedule the work, unless it is scheduled."""
        if not self.is_scheduled:
            self.is_scheduled = True
            timer = threading.Timer(DELAY_SECONDS, self._run)
            timer.daemon = True
            start_on_loop(timer.start)

    def _run(self) -> None:
        # Before the work: a trigger during it schedules the next run.
        self.is_scheduled = False
        self._work()
