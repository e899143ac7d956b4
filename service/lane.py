"""A lane: the jobs that one network advances, and which of them go next.

At each call the runtime says how many jobs it takes and how far; they come from the
front, and those that have events left go to the back. So none waits for longer than
the others take one call each, and a long sequence holds up no short one.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice

from service.batch import advance_jobs
from service.catalog import Model
from service.errors import CarryoverError, DeadlineExceeded, NonFiniteResult
from service.job import Job
from service.runtime import Signature

# A runtime sees so many rows at most when it plans a call; no call takes more.
MAX_PLANNED_ROWS = 1024


class Lane:
    """The jobs of one model and signature.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.
    """

    def __init__(self, model: Model, signature: Signature) -> None:
        self._model = model
        self._signature = signature
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def join(self, job: Job) -> None:
        """Let a job take part from the next call on."""
        self._jobs.append(job)

    def run(self) -> tuple[list[Job], list[tuple[Job, CarryoverError]]]:
        """Make one call of the network.

        Returns:
            The jobs that came to their end, and those that failed, and why.
        """
        front = islice(self._jobs, MAX_PLANNED_ROWS)
        remaining = [job.remaining for job in front]
        num_jobs, timesteps = self._model.runtime.plan(self._signature, remaining)
        jobs = [self._jobs.popleft() for _ in range(num_jobs)]
        bad = advance_jobs(self._model, self._signature, jobs, timesteps)
        failed: list[tuple[Job, CarryoverError]] = [(job, non_finite()) for job in bad]
        finished: list[Job] = []
        now = time.monotonic()
        for job in jobs:
            if job in bad:
                continue
            if not job.remaining:
                finished.append(job)
            elif job.deadline <= now:
                failed.append((job, too_late(now - job.began)))
            else:
                self._jobs.append(job)
        return finished, failed


def too_late(seconds: float) -> DeadlineExceeded:
    """Return the error of a row that was given up."""
    return DeadlineExceeded(
        f"the row had not come to its end after {seconds:.1f} s and was given up; its "
        "memory is as it was. Send it again, or fewer events at a time."
    )


def non_finite() -> NonFiniteResult:
    """Return the error of a step that led to no number."""
    return NonFiniteResult(
        "the network's answer is not a finite number; the step was not taken and the "
        "memory is as it was. Check the events for extreme values."
    )
