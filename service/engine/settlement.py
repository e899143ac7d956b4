"""Settlement of rows: their memories are stored, then each gets its result.

What a tick finished is committed in one transaction. A row that lost the race goes back
to the front of the queue; any other is settled, and its session handed to the next row
that waits for it. Rows are counted here: applied, answered from a stored answer, or
refused. Knows nothing of networks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

from service.engine.capture import Capture, CapturedRow
from service.engine.column_lane import Columns
from service.engine.job import Job, Timings
from service.engine.rows import (
    WHOLE,
    Outcome,
    Result,
    Row,
    contention_error,
    defect_error,
    log_defect,
)
from service.engine.run_queue import RunQueue
from service.engine.transition import Step, Transitions, entomb
from service.errors import CarryoverError
from service.registry.catalog import Model
from service.sessions.lifecycle import Sessions, Write
from service.stores.base import Put
from service.telemetry.engine_metrics import LOST_RACES, REPLAYED_ROWS, ROW_PROBLEMS
from service.telemetry.tallies import VersionTally, find_counter, find_version_tally

# Losing the race this long means dozens of writers on one session, or a long row
# among quick ones: an error is better than trying for ever.
MAX_CONTENTION_SECONDS = 10.0
TALLY = "tally"  # in a model's `prepared`: quicker to find than by name and version
SUBMISSION = attrgetter("submission")
# Whether a write won, or why the store refused it.
Saved = bool | CarryoverError


class Settlement:
    """Final stage of a tick: stores memories, then settles the rows.

    Args:
        queue: Where rows wait.
        sessions: Memory kept by the service.
        transitions: The rules of a step.
        capture: Takes what was applied, if anything does.

    Attributes:
        open_jobs: Rows that were taken in and have no result.
    """

    def __init__(
        self,
        queue: RunQueue,
        sessions: Sessions,
        transitions: Transitions,
        capture: Capture | None = None,
    ) -> None:
        self._capture = capture
        self._queue = queue
        self._sessions = sessions
        self._transitions = transitions
        self.open_jobs: set[Job] = set()

    def commit(
        self,
        jobs: Sequence[Job],
        columns: Sequence[Columns],
        timed: Collection[Timings] = (),
    ) -> None:
        """Store sessions and chains in one transaction, and settle the jobs.

        Args:
            jobs: Jobs that came to their end.
            columns: Those that did so as columns.
            timed: Where to measure how long the transaction takes.
        """
        steps: list[tuple[Job, Step]] = []
        writes: list[Write] = []
        for job in jobs:
            step = self._finish(job)
            if isinstance(step, CarryoverError):
                self.settle(job, step)
                continue
            steps.append((job, step))
            if (write := find_write(job, step)) is not None:
                writes.append(write)
        puts: list[Put] = []
        for part in columns:
            puts += part.list_puts(self._sessions.put)
        began = time.monotonic()
        saved = iter(self._save(writes, puts))
        for timings in timed:
            timings.commit += time.monotonic() - began
        for job, step in steps:
            self._settle_step(job, step, saved)
        for part in columns:
            self._settle_columns(part, saved)

    def _finish(self, job: Job) -> Step | CarryoverError:
        try:
            ahead = job.run.ahead()
            return self._transitions.complete(
                job.call, job.row, job.resume_state, ahead
            )
        except CarryoverError as error:
            return error
        except Exception:
            return log_defect("the end of a row")

    def _save(self, writes: Sequence[Write], puts: list[Put]) -> Sequence[Saved]:
        """Store what sessions come to.

        Returns:
            For each whether it won, or why the store refused it: that costs the rows
            that need the store their step, and no other.
        """
        num_changes = len(writes) + len(puts)
        if not num_changes:
            return []
        try:
            return self._sessions.save_encoded(self._sessions.encode(writes) + puts)
        except CarryoverError as error:
            return [error] * num_changes
        except Exception:
            return [log_defect("a commit to the store")] * num_changes

    def _settle_step(self, job: Job, step: Step, saved: Iterator[Saved]) -> None:
        is_stored = job.resume_state.stored is not None or step.chain_write is not None
        won = next(saved) if is_stored else True
        if won is True:
            count_applied(job.row, job.resume_state.model, step.outcome)
            if self._capture is not None:
                capture_step(self._capture, job, step)
            # Most memories are the service's: there is nothing to seal.
            is_sealed = job.row.seal_memory
            self.settle(job, self._seal(job, step) if is_sealed else step.outcome)
        elif won is False:
            self._retry(job)
        else:
            self.settle(job, won)

    def _seal(self, job: Job, step: Step) -> Result:
        try:
            return self._transitions.seal_state(
                job.call, job.row, job.resume_state, step
            )
        except Exception:
            return log_defect("the answer of a row")

    def _settle_columns(self, columns: Columns, saved: Iterator[Saved]) -> None:
        outcomes = columns.list_outcomes()
        all_won = list(islice(saved, len(columns.jobs)))
        count_columns(columns, [won is True for won in all_won])
        if self._capture is not None:
            capture_columns(self._capture, columns, all_won)
        if all_won.count(True) == len(all_won):
            self.settle_all(columns.jobs, outcomes)
            return
        for job, won, outcome in zip(columns.jobs, all_won, outcomes, strict=True):
            if won is False:
                self._retry(job)
            else:
                self.settle(job, outcome if won is True else won)

    def _retry(self, job: Job) -> None:
        """Start a job over that lost the race, unless it has for too long."""
        find_counter(LOST_RACES, job.call.model.manifest.name).number += 1
        if time.monotonic() - job.began > MAX_CONTENTION_SECONDS:
            self.settle(job, contention_error(job.row, MAX_CONTENTION_SECONDS))
            return
        job.is_begun = False
        self.requeue([job])

    def requeue(self, jobs: Sequence[Job]) -> None:
        """Put unfinished jobs back at the front of the run queue."""
        self.open_jobs.difference_update(jobs)
        self._queue.put_back(reversed(jobs))

    def fail_all(self) -> None:
        """Settle every job after a defect of the engine itself, or a killed caller.

        A defect of a network, of the store or of a row's rules does not come here.
        """
        for job in [*self.open_jobs, *self._queue.clear()]:
            job.result = defect_error()
            job.submission.settle(1)
        self.open_jobs.clear()

    def settle(self, job: Job, result: Result) -> None:
        """Settle a job that was taken in, and let the next of its session continue."""
        self.open_jobs.discard(job)
        self._queue.settled((job,))
        job.result = result
        job.submission.settle(1)

    def settle_all(self, jobs: Sequence[Job], results: Iterable[Result]) -> None:
        """Settle jobs that were taken in."""
        self.open_jobs.difference_update(jobs)
        self._queue.settled(jobs)
        for job, result in zip(jobs, results, strict=True):
            job.result = result
        for submission, num_jobs in Counter(map(SUBMISSION, jobs)).items():
            submission.settle(num_jobs)


def find_write(job: Job, step: Step) -> Write | None:
    """Return what is to be stored of a job, if anything is."""
    stored, record = job.resume_state.stored, step.record
    if job.key is None or stored is None:
        return step.chain_write
    return job.key, stored, entomb(record) if job.row.end else record


def capture_step(capture: Capture, job: Job, step: Step) -> None:
    """Capture a row of a session that was applied."""
    model, record = job.resume_state.model, step.record
    if job.row.session is None or job.key is None:
        return
    if not capture.chooses(model, job.key):
        return
    capture.add(
        CapturedRow(
            model,
            job.key,
            job.call.tenant,
            job.row.events,
            job.resume_state.own,
            record.step,
            record.created_at,
            record.updated_at,
        )
    )


def capture_columns(
    capture: Capture, columns: Columns, all_won: Sequence[Saved]
) -> None:
    """Capture rows that were applied as columns."""
    model, records = columns.model, columns.records
    for k, (job, won) in enumerate(zip(columns.jobs, all_won, strict=True)):
        if won is not True or job.key is None or not capture.chooses(model, job.key):
            continue
        record, row = records[k], job.row
        steps = int(record["step"]), float(record["created_at"])
        received = float(record["updated_at"])
        capture.add(
            CapturedRow(
                model,
                job.key,
                job.call.tenant,
                row.events,
                row.sequence,
                *steps,
                received,
            )
        )


def count_applied(row: Row, model: Model, outcome: Outcome) -> None:
    """Count a row of which the memory was committed."""
    tally: VersionTally = model.prepared.get(TALLY) or find_tally(model)
    num_events = len(row.sequence)
    tally.events.number += num_events
    if row.session is not None:
        if not outcome.is_continued:
            tally.started.number += 1
        if row.end:
            tally.ended.number += 1
    surprise = outcome.outputs.get(WHOLE)
    # Nothing was expected before the first event of a sequence.
    if surprise is not None and (outcome.is_continued or num_events > 1):
        tally.surprise.add(surprise.item(-1))


def count_columns(columns: Columns, won: Sequence[bool]) -> None:
    """Count rows that advanced as columns: an event of a live session each.

    Args:
        columns: The rows.
        won: Whether the memory of each was committed.
    """
    tally = find_tally(columns.model)
    tally.events.number += sum(won)
    if WHOLE in columns.outputs:
        tally.surprise.add_all(columns.outputs[WHOLE][list(won), 0])


def find_tally(model: Model) -> VersionTally:
    """Find what counts the rows of a model."""
    tally: VersionTally | None = model.prepared.get(TALLY)
    if tally is None:
        manifest = model.manifest
        tally = find_version_tally(manifest.name, manifest.version)
        model.prepared[TALLY] = tally
    return tally


def count_results(model: str, results: Sequence[Result]) -> None:
    """Count rows that were not applied now: repeats and problems."""
    for result in results:
        if isinstance(result, CarryoverError):
            find_counter(ROW_PROBLEMS, model, result.code).number += 1
        elif result.is_replayed:
            find_counter(REPLAYED_ROWS, model).number += 1
