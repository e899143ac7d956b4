"""The engine: cells are batched, not requests.

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

from service.engine.admission import Entry
from service.engine.call import Call, Wait
from service.engine.defect import defect_error, log_defect
from service.engine.execution import row_deadline_error
from service.engine.in_progress import InProgress, has_keys
from service.engine.job import Flow, Job, Submission
from service.engine.network_queue import NetworkQueue
from service.engine.resume import ResumeState
from service.engine.rows import Refused, Result, Row
from service.engine.run_queue import RunQueue
from service.engine.step import Step, after
from service.engine.tick_leader import TickLeader
from service.engine.transition import Transitions
from service.engine.waves import contention_error, earlier_row_failed, group_into_waves
from service.errors import CarryoverError
from service.registry.backends.base import Signature
from service.registry.catalog import Catalog, Model
from service.sessions.lifecycle import Sessions, Write
from service.sessions.preconditions import StoredSession
from service.sessions.retention import Lifetimes, Retention
from service.sessions.tokens.cipher import TokenCipher
from service.telemetry.metrics import count_under_way

# Losing the race this long means dozens of writers on one session, or a long row
# among quick ones: an error is better than trying for ever.
MAX_CONTENTION_SECONDS = 10.0
# Maximum seconds a tick computes before it looks for new arrivals, unless one call
# takes longer: a fraction of what a request takes by itself.
TICK_SECONDS = 0.0003
# Rows of one tick: as many as a call computes. More would wait for their turn with
# their memories fetched, and be out of the processor's caches when it comes.
MAX_ROWS = 64
DEFAULT_RETENTION = Retention()
NO_CATALOG = Catalog([])


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
            `service.engine.admission`.
        is_clock_trusted: See `service.engine.transition`.
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
    ) -> None:
        self.sessions = sessions
        self.transitions = Transitions(
            seal, lifetimes, clock, retention, catalog, is_clock_trusted
        )
        self._in_progress = InProgress()
        self.queue = RunQueue()
        self.entry = Entry(self.queue, max_queued_rows)
        self._open: set[Job] = set()
        self._network_queues: dict[tuple[Model, Signature], NetworkQueue] = {}
        self._ticker = TickLeader(self._tick)

    def advance(
        self,
        model: Model,
        rows: Sequence[Row | Refused],
        *,
        tenant: str,
        signature: Signature = "advance",
        is_version_named: bool = False,
        timeout_seconds: float = float("inf"),
        wait: Wait | None = None,
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
            wait: Where to measure how long the request waits in the queue.

        Returns:
            For each row its outcome, or why it was refused.

        Raises:
            Overloaded: Too much is under way here; nothing was applied.
            RequestTooLarge: It could never be done in time; nothing was applied.
        """
        call = Call(model, tenant, signature, is_version_named, wait)
        deadline = time.monotonic() + timeout_seconds
        flow = Flow(tenant, len(rows), count_events(rows))
        self.entry.enter(flow, timeout_seconds)
        count_under_way(len(rows))
        try:
            if not has_keys(rows):
                return self._advance(call, rows, flow, deadline)
            with self._in_progress.claim(tenant, model.manifest.name, rows) as claimed:
                return self._advance(call, claimed, flow, deadline)
        finally:
            self.entry.leave(flow)
            count_under_way(-len(rows))

    def _advance(
        self, call: Call, rows: Sequence[Row | Refused], flow: Flow, deadline: float
    ) -> list[Result]:
        """Advance rows turn by turn.

        A row waits for the earlier ones of its session.
        """
        results: dict[int, Result] = {}
        for turn in group_into_waves(rows):
            self._advance_turn(call, rows, turn, results, flow, deadline)
        return [results[k] for k in range(len(rows))]

    def _advance_turn(
        self,
        call: Call,
        rows: Sequence[Row | Refused],
        turn: Sequence[int],
        results: dict[int, Result],
        flow: Flow,
        deadline: float,
    ) -> None:
        """Advance rows of different sessions until each has its result."""
        failed = {
            rows[k].session
            for k, result in results.items()
            if isinstance(result, CarryoverError)
        }
        submission, began = Submission(), time.monotonic()
        jobs: dict[int, Job] = {}
        for k in turn:
            row = rows[k]
            if isinstance(row, Refused):
                results[k] = row.error
            elif row.session is not None and row.session in failed:
                results[k] = earlier_row_failed(row.session)
            else:
                named = self.transitions.name(call, row)
                if isinstance(named, CarryoverError):
                    results[k] = named
                    continue
                jobs[k] = Job(call, row, flow, submission, began, deadline, named)
        self.queue.add(flow, jobs.values())
        self._ticker.complete(submission)
        for k, job in jobs.items():
            if job.result is not None:
                results[k] = job.result

    def _tick(self) -> None:
        """Take in what is queued, compute a while, commit what is finished."""
        is_whole = False
        try:
            jobs = self._take()
            self._admit([job for job in jobs if not job.is_begun])
            self._commit(self._compute(jobs))
            is_whole = True
        finally:
            if not is_whole:
                self._fail_all()

    def _take(self) -> list[Job]:
        """Take the jobs of this tick off the queue, at most one of each session.

        Jobs of clients that no longer wait are abandoned before they cost more.
        """
        taken: list[Job] = []
        now = time.monotonic()
        for job in self.queue.take(MAX_ROWS):
            self._open.add(job)
            if job.call.wait is not None and not job.is_begun:
                job.call.wait.seconds = max(job.call.wait.seconds, now - job.began)
            if job.deadline <= now:
                self._settle(job, row_deadline_error(now - job.began))
                continue
            taken.append(job)
            if job.is_begun:
                self._join(job)
        return taken

    def _admit(self, jobs: Sequence[Job]) -> None:
        """Find the jobs' memories and let them join, or settle why they cannot."""
        keys = [job.key for job in jobs if job.key is not None]
        try:
            stored = iter(self.sessions.load(keys) if keys else [])
        except Exception as error:
            reason = (
                error
                if isinstance(error, CarryoverError)
                else log_defect("a read of the store")
            )
            for job in jobs:
                if job.key is not None:
                    self._settle(job, reason)
            jobs, stored = [job for job in jobs if job.key is None], iter(())
        for job in jobs:
            self._begin(job, next(stored) if job.key is not None else None)

    def _begin(self, job: Job, stored: StoredSession | None) -> None:
        try:
            resume_state = self.transitions.resume(
                job.call, job.row, stored, job.opened
            )
        except CarryoverError as error:
            self._settle(job, error)
            return
        except Exception:
            self._settle(job, log_defect("the beginning of a row"))
            return
        if not isinstance(resume_state, ResumeState):
            self._settle(job, resume_state)
            return
        job.begin(resume_state)
        self._join(job)

    def _join(self, job: Job) -> None:
        network = job.resume_state.model, job.call.signature
        queue = self._network_queues.get(network)
        if queue is None:
            queue = self._network_queues[network] = NetworkQueue(*network)
        queue.join(job)

    def _compute(self, jobs: Sequence[Job]) -> list[Job]:
        """Make calls until some job is finished or the tick's time is over.

        Returns:
            The jobs that came to their end; the others that live are queued again.
        """
        finished: list[Job] = []
        began = time.monotonic()
        while (
            self._network_queues
            and not finished
            and time.monotonic() < began + TICK_SECONDS
        ):
            for name, queue in list(self._network_queues.items()):
                ended, failed = queue.run()
                finished += ended
                for job, error in failed:
                    self._settle(job, error)
                if not queue:
                    del self._network_queues[name]
        num_events = self.queue.charge(job for job in jobs if job.is_begun)
        self.entry.measure(time.monotonic() - began, num_events)
        if self._network_queues:
            self._leave(
                [
                    job
                    for queue in self._network_queues.values()
                    for job in queue.leave()
                ]
            )
            self._network_queues.clear()
        return finished

    def _leave(self, jobs: Sequence[Job]) -> None:
        self._open.difference_update(jobs)
        self.queue.put_back(reversed(jobs))

    def _commit(self, jobs: Sequence[Job]) -> None:
        """Store sessions and chains in one transaction, and settle the jobs.

        A job that lost the race goes back to the front of the queue.
        """
        steps: list[tuple[Job, Step]] = []
        writes: list[Write] = []
        for job in jobs:
            step = self._finish(job)
            if isinstance(step, CarryoverError):
                self._settle(job, step)
                continue
            steps.append((job, step))
            if job.key is not None and job.resume_state.stored is not None:
                record = after(job.row, step.record)
                writes.append((job.key, job.resume_state.stored, record))
            elif step.chain_write is not None:
                writes.append(step.chain_write)
        saved = iter(self._save(writes))
        for job, step in steps:
            is_stored = (
                job.resume_state.stored is not None or step.chain_write is not None
            )
            won = next(saved) if is_stored else True
            if won is True:
                self._settle(job, self._conclude(job, step))
            elif won is False:
                self._retry(job)
            else:
                self._settle(job, won)

    def _finish(self, job: Job) -> Step | CarryoverError:
        try:
            ahead = job.run.ahead()
            return self.transitions.complete(job.call, job.row, job.resume_state, ahead)
        except CarryoverError as error:
            return error
        except Exception:
            return log_defect("the end of a row")

    def _conclude(self, job: Job, step: Step) -> Result:
        try:
            return self.transitions.seal_state(
                job.call, job.row, job.resume_state, step
            )
        except Exception:
            return log_defect("the answer of a row")

    def _save(self, writes: Sequence[Write]) -> Sequence[bool | CarryoverError]:
        """Store what sessions come to.

        Returns:
            For each whether it won, or why the store refused it: that costs the rows
            that need the store their step, and no other.
        """
        if not writes:
            return []
        try:
            return self.sessions.save(writes)
        except CarryoverError as error:
            return [error] * len(writes)
        except Exception:
            return [log_defect("a commit to the store")] * len(writes)

    def _retry(self, job: Job) -> None:
        """Start a job over that lost the race, unless it has for too long."""
        if time.monotonic() - job.began > MAX_CONTENTION_SECONDS:
            self._settle(job, contention_error(job.row, MAX_CONTENTION_SECONDS))
            return
        job.is_begun = False
        self._leave([job])

    def _fail_all(self) -> None:
        """Settle every job after a defect of the engine itself, or a killed caller.

        A defect of a network, of the store or of a row's rules does not come here.
        """
        self._network_queues.clear()
        for job in [*self._open, *self.queue.clear()]:
            job.settle(defect_error())
        self._open.clear()

    def _settle(self, job: Job, result: Result) -> None:
        """Settle a job that was taken in, and let the next of its session continue."""
        self._open.discard(job)
        self.queue.settled(job)
        job.settle(result)


def count_events(rows: Sequence[Row | Refused]) -> int:
    """Count the events of a request."""
    return sum([len(row.sequence) for row in rows if isinstance(row, Row)])
