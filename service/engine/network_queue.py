"""Queue of one network: its jobs, and which of them go into the next call.

At each call the runtime says how many jobs it takes and how far; they come from the
front, and those that have events left go to the back. So none waits for longer than
the others take one call each, and a long sequence holds up no short one.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice

from service.engine.defect import log_defect
from service.engine.execution import (
    MAX_PLANNED_ROWS,
    advance_runs,
    non_finite_error,
    row_deadline_error,
)
from service.engine.job import Job
from service.engine.rollout import Run
from service.errors import CarryoverError
from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.telemetry.engine_metrics import find_call_tally


class NetworkQueue:
    """The jobs of one model and signature.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.

    Attributes:
        jobs: Those that take part from the next call on.
    """

    def __init__(self, model: Model, signature: Signature) -> None:
        self._model = model
        self._signature = signature
        self.jobs: deque[Job] = deque()
        self._tally = find_call_tally(model.manifest.name, signature)

    def take_all(self) -> list[Job]:
        """Empty the queue; return the jobs with events left."""
        jobs = list(self.jobs)
        self.jobs.clear()
        return jobs

    def run(self) -> tuple[list[Job], list[tuple[Job, CarryoverError]]]:
        """Make one call of the network.

        Returns:
            The jobs that came to their end, and those that failed, and why.
        """
        remaining: list[int] = []
        for job in islice(self.jobs, MAX_PLANNED_ROWS):
            remaining.append(job.run.remaining)
        num_jobs, timesteps = self._model.runtime.plan(self._signature, remaining)
        jobs: list[Job] = []
        runs: list[Run] = []
        for _ in range(num_jobs):
            job = self.jobs.popleft()
            jobs.append(job)
            runs.append(job.run)
        began = time.monotonic()
        try:
            bad = advance_runs(self._model, self._signature, runs, timesteps)
        except Exception:
            work = f"{self._signature} of {self._model.manifest.name}"
            defect = log_defect(work)
            return [], [(job, defect) for job in jobs]
        finished: list[Job] = []
        failed: list[tuple[Job, CarryoverError]] = []
        now = time.monotonic()
        self._tally.rows.add(num_jobs)
        self._tally.seconds.add(now - began)
        for k, job in enumerate(jobs):
            if k in bad:
                failed.append((job, non_finite_error()))
            elif not job.run.remaining:
                finished.append(job)
            elif job.deadline <= now:
                failed.append((job, row_deadline_error(now - job.began)))
            else:
                self.jobs.append(job)
        return finished, failed
