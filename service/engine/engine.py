"""The engine: cellular batching, which joins timesteps, not requests.

Rows of all requests meet in a queue. A tick takes what is queued, fetches all memories
in one transaction, makes a few calls of the network, and commits the memories of the
rows that came to their end in one transaction. Rows of any length join and leave
between ticks. Memory advances only with a compare-and-set on the version it was read
at; a row that lost the race starts over on the winner's memory. Knows nothing of HTTP
or JSON.

Rows are independent: each ends in an outcome or in its own error, and an exception of
any class fails the rows it concerns: one row, or one batch of one network. Rows of one
session are applied one after another, in the order they were queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from service.engine.capture import Capture
from service.engine.idempotency import InProgress
from service.engine.job import Call, Flow, Job, Submission, Timings
from service.engine.rows import (
    Outcome,
    Refused,
    Result,
    Row,
    earlier_row_failed,
    find_failed,
    group_into_waves,
)
from service.engine.run_queue import RunQueue
from service.engine.settlement import count_results
from service.engine.shadow import Shadow
from service.engine.ticks import TickLeader, Ticks
from service.engine.transition import Transitions
from service.errors import CarryoverError, Overloaded, RequestTooLarge
from service.registry.backends.base import Signature
from service.registry.catalog import Catalog, Model
from service.sessions.lifecycle import Sessions
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Lifetimes, Retention
from service.telemetry.metrics import debouncer, under_way

# Ticks of fewer events say little about the time of one event among many.
MIN_EVENTS = 32
MIN_SECONDS = 0.001
# Weight of the newest measurement: a pause of one tick must not look like a pace.
SMOOTHING = 0.002
MIN_MEASURED = 100
# Part of a request's time that may be taken already: later requests share it too.
USABLE = 0.5
DEFAULT_RETENTION = Retention()
NO_CATALOG = Catalog([])
FIRST_ALONE: tuple[Sequence[int], ...] = (range(1),)


class Engine:
    """Advances rows of any model.

    Args:
        sessions: Memory kept by the service.
        seal: Encrypts memory kept by clients.
        lifetimes: Default lifetimes.
        clock: Seconds since 1970.
        retention: What sessions keep in addition to their memory.
        catalog: The served models: a row may be advanced by another version than the
            one its request is for.
        max_queued_rows: How many rows may wait or be under way at once; see
            `Admission`.
        is_clock_trusted: See `service.engine.transition`.
        capture: Takes what was applied, if anything does.
    """

    def __init__(
        self,
        sessions: Sessions,
        seal: TokenCipher,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
        retention: Retention = DEFAULT_RETENTION,
        catalog: Catalog = NO_CATALOG,
        *,
        max_queued_rows: int = 16_384,
        is_clock_trusted: Callable[[], bool] = lambda: True,
        capture: Capture | None = None,
    ) -> None:
        self.sessions = sessions
        self.transitions = Transitions(
            seal, lifetimes, clock, retention, catalog, is_clock_trusted
        )
        self._catalog = catalog
        self._in_progress = InProgress()
        self.queue = RunQueue()
        self.admission = Admission(self.queue, max_queued_rows)
        self.capture = capture
        self.ticks = Ticks(
            self.queue, self.admission.measure, sessions, self.transitions, capture
        )
        self._tick_leader = TickLeader(self.ticks.run)
        self.shadow = Shadow(sessions, catalog, clock, self.count_under_way)

    def advance(
        self,
        model: Model,
        rows: Sequence[Row | Refused],
        *,
        tenant: str,
        signature: Signature = "advance",
        is_version_named: bool = False,
        timeout_seconds: float = float("inf"),
        timings: Timings | None = None,
    ) -> list[Result]:
        """Advance every row and commit its memory.

        Args:
            model: The network.
            rows: The sequences; rows of one session are applied in their order, and
                none after one that failed.
            tenant: Whom sessions and tokens belong to.
            signature: `explain` for the gates too.
            is_version_named: Whether the client named the model's version, so that no
                other may advance its memory.
            timeout_seconds: Rows that have not come to their end by then are given
                up, their memory unchanged.
            timings: Where to measure what the request's time is spent on.

        Returns:
            For each row its outcome, or why it was refused.

        Raises:
            Overloaded: Too much is under way here; nothing was applied.
            RequestTooLarge: It could never be done in time; nothing was applied.
        """
        call = Call(model, tenant, signature, is_version_named, timings)
        deadline = time.monotonic() + timeout_seconds
        num_events, has_keys = survey(rows)
        flow = Flow(tenant, len(rows), num_events)
        self.admission.enter(flow, timeout_seconds)
        under_way.num_rows += flow.num_rows
        if not debouncer.is_scheduled:
            debouncer.trigger()
        try:
            if not has_keys:
                return self._advance(call, rows, flow, deadline)
            with self._in_progress.claim(tenant, model.manifest.name, rows) as claimed:
                return self._advance(call, claimed, flow, deadline)
        finally:
            self.admission.leave(flow)
            under_way.num_rows -= flow.num_rows
            if not debouncer.is_scheduled:
                debouncer.trigger()

    def count_under_way(self) -> int:
        """Return how many rows wait or are under way."""
        return self.admission.num_rows

    def _advance(
        self, call: Call, rows: Sequence[Row | Refused], flow: Flow, deadline: float
    ) -> list[Result]:
        """Advance rows wave by wave.

        A row waits for the earlier ones of its session.
        """
        results: dict[int, Result] = {}
        waves = FIRST_ALONE if len(rows) == 1 else group_into_waves(rows)
        for wave in waves:
            self._advance_wave(call, rows, wave, results, flow, deadline)
        ordered = list(map(results.__getitem__, range(len(rows))))
        count_results(call.model.manifest.name, ordered)
        if self._catalog.has_traffic:
            self.shadow.offer(call, rows, ordered)
        return ordered

    def _advance_wave(
        self,
        call: Call,
        rows: Sequence[Row | Refused],
        wave: Sequence[int],
        results: dict[int, Result],
        flow: Flow,
        deadline: float,
    ) -> None:
        """Advance rows of different sessions until each has its result."""
        failed = find_failed(rows, results) if results else ()
        submission, began = Submission(), time.monotonic()
        places: list[int] = []
        jobs: list[Job] = []
        for k in wave:
            row = rows[k]
            if isinstance(row, Refused):
                results[k] = row.error
                continue
            if failed and row.session is not None and row.session in failed:
                results[k] = earlier_row_failed(row.session)
                continue
            named = self.transitions.name(call, row)
            if isinstance(named, CarryoverError):
                results[k] = named
            else:
                jobs.append(Job(call, row, flow, submission, began, deadline, named))
                places.append(k)
        self.queue.add(flow, jobs)
        self._tick_leader.complete(submission)
        for k, job in zip(places, jobs, strict=True):
            if job.result is not None:
                results[k] = job.result


def is_replayed(rows: Sequence[Row | Refused], results: Sequence[Result]) -> bool:
    """Return whether every row of a session had its answer from an earlier request."""
    is_any = False
    for row, result in zip(rows, results, strict=True):
        if row.session is None:
            continue
        if not isinstance(result, Outcome) or not result.is_replayed:
            return False
        is_any = True
    return is_any


def survey(rows: Sequence[Row | Refused]) -> tuple[int, bool]:
    """Count the events of a request, and say whether a row has an idempotency key."""
    num_events, has_keys = 0, False
    for row in rows:
        if isinstance(row, Row):
            num_events += len(row.sequence)
            if row.key is not None:
                has_keys = True
    return num_events, has_keys


class Admission:
    """Admission control: limit of the rows under way.

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
