"""Ticks: bounded pieces of work on whatever rows wait.

A tick takes rows off the run queue, fetches their memories in one transaction, makes a
few calls of the network, and commits the memories of the rows that came to their end in
one transaction. Rows that are alike advance as columns (`column_lane`), the others by
the rules of a step, one by one (`transition`).

Callers that wait for their rows run the ticks, for everybody's: there is no thread of
the engine. When a caller's own are done it hands over to one that still waits. So a
lone request runs at once on its own thread, and requests that arrive together share a
batch.

An exception of any class fails the rows it concerns: one row, or one batch of one
network.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter

from service.common.loop import give_way, look_up, make_brief_lock
from service.engine import column_lane
from service.engine.capture import Capture
from service.engine.column_lane import Alike, Columns
from service.engine.execution import NetworkQueue, non_finite_error, row_deadline_error
from service.engine.job import Job, Submission, Timings
from service.engine.resume import ResumeState
from service.engine.rows import log_defect
from service.engine.run_queue import RunQueue
from service.engine.settlement import Settlement
from service.engine.transition import Transitions
from service.errors import CarryoverError
from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.sessions.lifecycle import Sessions, read_entry
from service.sessions.preconditions import StoredSession
from service.stores.base import Entry
from service.telemetry.tallies import QUEUE

# Maximum seconds a tick computes before it looks for new arrivals, unless one call
# takes longer: a fraction of what a request takes by itself.
TICK_SECONDS = 0.0003
# Rows of one tick: as many as a call computes. More would wait for their turn with
# their memories fetched, and be out of the processor's caches when it comes.
MAX_ROWS = 64
KEY = attrgetter("key")


class Ticks:
    """Executor of ticks over the rows of a run queue.

    Args:
        queue: Where rows wait.
        measure: Learns how many seconds a number of events took.
        sessions: Memory kept by the service.
        transitions: The rules of a step.
        capture: Takes what was applied, if anything does.

    Attributes:
        settlement: Of the rows that were taken in.
    """

    def __init__(
        self,
        queue: RunQueue,
        measure: Callable[[float, int], None],
        sessions: Sessions,
        transitions: Transitions,
        capture: Capture | None = None,
    ) -> None:
        self._queue = queue
        self._measure = measure
        self._sessions = sessions
        self._transitions = transitions
        self._network_queues: dict[tuple[Model, Signature], NetworkQueue] = {}
        self.settlement = Settlement(queue, sessions, transitions, capture)

    def run(self) -> None:
        """Take in what is queued, compute a while, commit what is finished."""
        is_whole = False
        try:
            jobs, new, timed = self._take()
            began = time.monotonic()
            alike = self._admit(new)
            fetched = time.monotonic()
            done = self._compute(jobs, alike)
            computed = time.monotonic()
            for timings in timed:
                timings.fetch += fetched - began
                timings.network += computed - fetched
            self.settlement.commit(*done, timed)
            is_whole = True
        finally:
            if not is_whole:
                self._network_queues.clear()
                self.settlement.fail_all()

    def _take(self) -> tuple[list[Job], list[Job], set[Timings]]:
        """Take the jobs of this tick off the queue, at most one of each session.

        Jobs of clients that no longer wait are abandoned before they cost more.

        Returns:
            The jobs, those of them that have no memory yet, and where their times are
            measured.
        """
        taken: list[Job] = []
        new: list[Job] = []
        timed: set[Timings] = set()
        now = time.monotonic()
        jobs = self._queue.take(MAX_ROWS)
        self.settlement.open_jobs.update(jobs)
        arrivals: dict[float, int] = {}
        for job in jobs:
            began, timings = job.began, job.call.timings
            if not job.is_begun:
                arrivals[began] = arrivals.get(began, 0) + 1
                if timings is not None:
                    timings.queue = max(timings.queue, now - began)
            if job.deadline <= now:
                self.settlement.settle(job, row_deadline_error(now - began))
                continue
            taken.append(job)
            if timings is not None:
                timed.add(timings)
            if job.is_begun:
                self._join(job)
            else:
                new.append(job)
        # Rows of a request have arrived together.
        for began, num_rows in arrivals.items():
            QUEUE.add(now - began, num_rows)
        return taken, new, timed

    def _admit(self, jobs: Sequence[Job]) -> list[Alike]:
        """Find the jobs' memories and let them join, or settle why they cannot.

        Returns:
            Those that advance as columns; they join no queue.
        """
        keyed = list(filter(KEY, jobs))
        keys = list(map(KEY, keyed))
        alike: list[Alike] = []
        stored: dict[Job, StoredSession] = {}
        try:
            entries, now = self._sessions.fetch(keys) if keys else ([], 0.0)
            if len(keyed) >= column_lane.MIN_ROWS:
                alike = self._find_alike(keyed, entries, now)
            apart = {job for part in alike for job in part.jobs} if alike else ()
            for job, entry in zip(keyed, entries, strict=True):
                if job not in apart:
                    stored[job] = read_entry(entry, now)
        except Exception as error:
            reason = (
                error
                if isinstance(error, CarryoverError)
                else log_defect("a read of the store")
            )
            self.settlement.settle_all(keyed, [reason] * len(keyed))
            alike, stored = [], {}
        for job in jobs:
            if job.key is None or job in stored:
                self._begin(job, stored.get(job))
        return alike

    def _find_alike(
        self, jobs: Sequence[Job], entries: Sequence[Entry | None], now: float
    ) -> list[Alike]:
        if self._transitions.keeps_extras:
            return []
        return column_lane.find_alike(jobs, entries, now)

    def _begin(self, job: Job, stored: StoredSession | None) -> None:
        try:
            resume_state = self._transitions.resume(
                job.call, job.row, stored, job.opened
            )
        except CarryoverError as error:
            self.settlement.settle(job, error)
            return
        except Exception:
            self.settlement.settle(job, log_defect("the beginning of a row"))
            return
        if not isinstance(resume_state, ResumeState):
            self.settlement.settle(job, resume_state)
            return
        job.begin(resume_state)
        self._join(job)

    def _join(self, job: Job) -> None:
        network = job.resume_state.model, job.call.signature
        queue = self._network_queues.get(network)
        if queue is None:
            queue = self._network_queues[network] = NetworkQueue(*network)
        queue.jobs.append(job)

    def _compute(
        self, jobs: Sequence[Job], alike: Sequence[Alike]
    ) -> tuple[list[Job], list[Columns]]:
        """Make calls until some job is finished or the tick's time is over.

        Returns:
            The jobs that came to their end, and those that did so as columns; the
            others that live are queued again.
        """
        began = time.monotonic()
        columns = self._advance_alike(alike) if alike else []
        finished: list[Job] = []
        while self._network_queues:
            for name, queue in list(self._network_queues.items()):
                ended, failed = queue.run()
                finished += ended
                for job, error in failed:
                    self.settlement.settle(job, error)
                if not queue.jobs:
                    del self._network_queues[name]
            if finished or columns or time.monotonic() >= began + TICK_SECONDS:
                break
        num_events = self._queue.charge(jobs)
        if alike:
            flows = Counter([job.flow for part in alike for job in part.jobs])
            num_events += self._queue.charge_events(flows)
        self._measure(time.monotonic() - began, num_events)
        if self._network_queues:
            queues = self._network_queues.values()
            self.settlement.requeue(
                [job for queue in queues for job in queue.take_all()]
            )
            self._network_queues.clear()
        return finished, columns

    def _advance_alike(self, alike: Sequence[Alike]) -> list[Columns]:
        return [done for part in alike if (done := self._advance(part)) is not None]

    def _advance(self, alike: Alike) -> Columns | None:
        """Advance rows as columns; settle those that cannot."""
        try:
            done, bad = column_lane.advance(alike, self._transitions.now())
        except Exception:
            defect = log_defect(f"advance of {alike.model.manifest.name}")
            self.settlement.settle_all(alike.jobs, [defect] * len(alike.jobs))
            return None
        for job in bad:
            self.settlement.settle(job, non_finite_error())
        return done


class TickLeader:
    """Runs ticks until submissions are done.

    Args:
        tick: Does a bounded piece of work on whatever is queued.

    Attributes:
        waiting: By their ids, the submissions that wait for another caller's ticks.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        # Kept while other requests run, but never waited for.
        self._leading = make_brief_lock()
        self.waiting: dict[int, Submission] = {}

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
            if self.waiting:
                self._hand_over()

    def _follow(self, submission: Submission) -> None:
        """Wait, unless the leader left before it could see that someone waits."""
        submission.listen()
        self.waiting[id(submission)] = submission
        is_whole = False
        try:
            if not self._leading.locked():
                self._hand_over()
            if submission.num_pending:
                submission.wait()
            is_whole = True
        finally:
            del self.waiting[id(submission)]
            # Torn away, perhaps with the turn that was just handed to it.
            if not is_whole and not self._leading.locked():
                self._hand_over()

    def _hand_over(self) -> None:
        for submission in list(self.waiting.values()):
            if submission.num_pending:
                submission.wake()
                return
