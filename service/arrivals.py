"""The queue before the ticks: who is next, and one row of a session at a time.

A session belongs to one row until that row is settled; the rows behind it wait in their
order and cost a tick nothing. Knows no stores and no networks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from service.job import Job


class Arrivals:
    """Jobs that wait for their turn; safe to add to while a tick takes from it."""

    def __init__(self) -> None:
        self._queue: deque[Job] = deque()
        # By the keys of sessions.
        self._owners: dict[bytes, Job] = {}
        self._behind: dict[bytes, deque[Job]] = {}

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._queue) + sum(map(len, self._behind.values()))

    def add(self, jobs: Iterable[Job]) -> None:
        """Let jobs wait."""
        self._queue.extend(jobs)

    def next(self) -> Job | None:
        """Take the first job whose session is free, which then belongs to it."""
        while self._queue:
            job = self._queue.popleft()
            if job.key is None or self._owners.setdefault(job.key, job) is job:
                return job
            self._behind.setdefault(job.key, deque()).append(job)
        return None

    def settled(self, job: Job) -> None:
        """Hand the session of a job that is settled to the one behind it."""
        if job.key is None or self._owners.get(job.key) is not job:
            return
        behind = self._behind.get(job.key)
        if not behind:
            del self._owners[job.key]
            return
        follower = behind.popleft()
        if not behind:
            del self._behind[job.key]
        self._owners[job.key] = follower
        self._queue.appendleft(follower)

    def retry(self, job: Job) -> None:
        """Put a job first that has to start over; its session stays its own."""
        self._queue.appendleft(job)

    def clear(self) -> list[Job]:
        """Forget all, and return the jobs that waited."""
        waiting = [
            *self._queue,
            *(job for jobs in self._behind.values() for job in jobs),
        ]
        self._queue.clear()
        self._owners.clear()
        self._behind.clear()
        return waiting
