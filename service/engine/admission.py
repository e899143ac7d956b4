"""Admission: which requests the engine takes in, by rows, events and time.

A request is refused where it cannot be done in time in addition to those under way.
Each of those counts for at most the request's own size, because the run queue shares
time fairly: so a small request is taken in however much large ones have queued.
"""

from __future__ import annotations

from service.engine.job import Flow
from service.engine.run_queue import RunQueue
from service.errors import Overloaded, RequestTooLarge

# Ticks of fewer events say little about the time of one event among many.
MIN_EVENTS = 32
MIN_SECONDS = 0.001
# Weight of the newest measurement: a pause of one tick must not look like a pace.
SMOOTHING = 0.002
MIN_MEASURED = 100
# Part of a request's time that may be taken already: later requests share it too.
USABLE = 0.5


class Admission:
    """Limits what is under way.

    Args:
        queue: What is under way.
        max_rows: Rows under way, each other request counted for no more rows than the
            request that asks.
    """

    def __init__(self, queue: RunQueue, max_rows: int) -> None:
        self.max_rows = max_rows
        self.num_rows = 0
        self.num_events = 0
        self._queue = queue
        self._num_measured = 0
        self._mean = 0.0
        self._event_seconds = 0.0  # unknown as yet: nothing is refused for its time
        self._fastest = float("inf")

    def enter(self, flow: Flow, timeout_seconds: float) -> None:
        """Take a request in.

        Raises:
            RequestTooLarge: It could never be done; nothing was applied.
            Overloaded: It cannot be done now; nothing was applied.
        """
        # One that has no time left is given up by the engine.
        timeout_seconds = max(timeout_seconds, MIN_SECONDS)
        usable = timeout_seconds * USABLE
        is_room = self.num_rows + flow.num_rows <= self.max_rows
        seconds = self._event_seconds * (self.num_events + flow.num_events)
        if not is_room or seconds > usable:
            self._check(flow, timeout_seconds)
        self.num_rows += flow.num_rows
        self.num_events += flow.num_all_events
        self._queue.open(flow)

    def leave(self, flow: Flow) -> None:
        """Give its room back."""
        self._queue.close(flow)
        self.num_rows -= flow.num_rows
        self.num_events -= flow.num_all_events

    def measure(self, seconds: float, num_events: int) -> None:
        """Note how long a tick took to compute events."""
        if num_events < MIN_EVENTS:
            return
        self._num_measured += 1
        weight = max(1 / self._num_measured, SMOOTHING)
        latest = seconds / num_events
        self._fastest = min(self._fastest, latest)
        self._mean += weight * (latest - self._mean)
        if self._num_measured >= MIN_MEASURED:
            self._event_seconds = self._mean

    def _check(self, flow: Flow, timeout_seconds: float) -> None:
        alone = 0.0
        if self._event_seconds:
            alone = self._fastest * flow.num_events
        if flow.num_rows > self.max_rows or alone > timeout_seconds:
            raise RequestTooLarge(
                f"the request has {flow.num_rows} rows with {flow.num_events} events "
                f"in all; expected at most {self.max_rows} rows, and events that are "
                f"computed within {timeout_seconds:g} s (these take about {alone:.0f} "
                "s). Split "
                "it over several requests.",
                max_queued_rows=self.max_rows,
            )
        rows, events = self._queue.others(flow.num_rows, flow.num_events)
        if not rows:  # alone: to wait would not help it
            return
        seconds = self._event_seconds * (events + flow.num_events)
        if rows + flow.num_rows > self.max_rows or seconds > timeout_seconds * USABLE:
            raise Overloaded(
                f"{self.num_rows} rows are under way here; with these {flow.num_rows} "
                f"it would be more than {self.max_rows}, or more than is computed in "
                "time. Nothing was applied; send the request again in a second.",
                max_queued_rows=self.max_rows,
            )
