"""Leader and followers: waiting callers run the engine's ticks; there is no thread.

A caller that waits for its jobs runs ticks, for everybody's jobs, unless another
caller does so already; when its own are done it hands over to one that still waits. So
a lone request runs at once on its own thread, and requests that arrive together
share a batch. Knows neither jobs nor ticks, only who waits.
"""

from __future__ import annotations

from collections.abc import Callable

from service.common.loop import give_way, look_up, make_brief_lock
from service.engine.job import Submission


class TickLeader:
    """Runs ticks until submissions are done.

    Args:
        tick: Does a bounded piece of work on whatever is queued.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        # Kept while other requests run, but never waited for.
        self._leading = make_brief_lock()
        self._waiting: dict[int, Submission] = {}

    def complete(self, submission: Submission) -> None:
        """Return when all jobs of a submission have their results."""
        give_way()
        while submission.num_pending:
            if self._leading.acquire(blocking=False):
                self._lead(submission)
            else:
                self._follow(submission)

    def _lead(self, submission: Submission) -> None:
        try:
            self._tick()
            while submission.num_pending:
                look_up()
                self._tick()
        finally:
            self._leading.release()
            if self._waiting:
                self._hand_over()

    def _follow(self, submission: Submission) -> None:
        """Wait, unless the leader left before it could see that someone waits."""
        submission.listen()
        self._waiting[id(submission)] = submission
        is_whole = False
        try:
            if not self._leading.locked():
                self._hand_over()
            if submission.num_pending:
                submission.wait()
            is_whole = True
        finally:
            del self._waiting[id(submission)]
            # Torn away, perhaps with the turn that was just handed to it.
            if not is_whole and not self._leading.locked():
                self._hand_over()

    def _hand_over(self) -> None:
        for submission in list(self._waiting.values()):
            if submission.num_pending:
                submission.wake()
                return
