"""Run queue: which rows the next tick advances, shared fairly between requests.

Two levels of start-time fair queueing (Goyal et al., SIGCOMM 1996): the tenant that was
served least, and of its requests the one that was served least. A request that arrives
begins a little before its tenant's virtual time: a small one is served at once, and a
long one pays that credit back, so that it continues however many small ones arrive.
Service is counted in events.

A session belongs to one row until that row is settled; later rows of it wait in their
order and cost a tick nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from itertools import count

from service.common.loop import make_brief_lock
from service.engine.job import Flow, Job

# A request that arrives is served at once if it is small: a tick or two of events.
CREDIT_EVENTS = 128


class Shares:
    """Members that share service, the one served least first."""

    def __init__(self) -> None:
        self.time = 0.0
        self.num_members = 0
        self._heap: list[tuple[float, int, Flow | Tenant]] = []
        self._ticket = count()

    def enter(self, member: Flow | Tenant) -> None:
        """Let a member begin ahead of the others, by a credit that it pays back."""
        self.num_members += 1
        member.served, member.credit = self.time - CREDIT_EVENTS, CREDIT_EVENTS

    def leave(self) -> None:
        """Forget a member that is done."""
        self.num_members -= 1

    def charge(self, member: Flow | Tenant, num_events: int) -> None:
        """Note service; the virtual time is what each member would have had by now."""
        paid = min(member.credit, num_events)
        member.credit -= paid
        member.served += num_events + paid
        self.time += num_events / max(self.num_members, 1)

    def queue(self, member: Flow | Tenant) -> None:
        """Let a member that has work be chosen."""
        if not member.is_queued:
            member.is_queued = True
            heappush(self._heap, (member.served, next(self._ticket), member))

    def first(self) -> Flow | Tenant | None:
        """Return the member with work that was served least."""
        heap = self._heap
        while heap:
            served, _, member = heap[0]
            if member.has_work and served == member.served:
                return member
            heappop(heap)
            member.is_queued = False
            if member.has_work:  # it was served since it was queued
                self.queue(member)
        return None


class Tenant:
    """One tenant's requests.

    Attributes:
        flows: Its requests.
        served: Events it was charged, in the virtual time of all tenants.
        credit: Events that are charged twice.
        is_queued: Whether it may be chosen.
    """

    def __init__(self) -> None:
        self.flows = Shares()
        self.served = 0.0
        self.credit = 0
        self.is_queued = False

    @property
    def has_work(self) -> bool:
        """Whether a row of it waits."""
        return self.flows.first() is not None


class RunQueue:
    """Rows that wait, or are between two ticks. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = make_brief_lock()
        self._shares = Shares()
        self._tenants: dict[str, Tenant] = {}
        self._flows: set[Flow] = set()
        # By the keys of sessions.
        self._owners: dict[bytes, Job] = {}
        self._followers: dict[bytes, deque[Job]] = {}

    def __len__(self) -> int:
        """How many rows wait."""
        with self._lock:
            waiting = sum(len(flow.jobs) for flow in self._flows)
            return waiting + sum(map(len, self._followers.values()))

    def open(self, flow: Flow) -> None:
        """Let a request take part."""
        with self._lock:
            tenant = self._tenants.get(flow.tenant)
            if tenant is None:
                tenant = self._tenants[flow.tenant] = Tenant()
                self._shares.enter(tenant)
            tenant.flows.enter(flow)
            self._flows.add(flow)

    def close(self, flow: Flow) -> None:
        """Forget a request; rows of it that wait have lost their caller."""
        with self._lock:
            self._flows.discard(flow)
            flows = self._tenants[flow.tenant].flows
            flows.leave()
            if not flows.num_members:
                self._shares.leave()
                del self._tenants[flow.tenant]
            while flow.jobs:
                self._hand_over(flow.jobs.popleft())

    def others(self, num_rows: int, num_events: int) -> tuple[int, int]:
        """Count what is served before a request of that size can be done.

        While it is served, each other request gets as much as it does, or all it has.

        Returns:
            Rows and events.
        """
        with self._lock:
            rows = sum(min(flow.num_rows, num_rows) for flow in self._flows)
            events = sum(min(flow.num_events, num_events) for flow in self._flows)
        return rows, events

    def add(self, flow: Flow, jobs: Iterable[Job]) -> None:
        """Let rows of an open request wait."""
        with self._lock:
            for job in jobs:
                key = job.key
                if key is None or self._owners.setdefault(key, job) is job:
                    flow.jobs.append(job)
                else:
                    self._followers.setdefault(key, deque()).append(job)
            self._queue(flow)

    def take(self, limit: int) -> list[Job]:
        """Take the rows of the next tick, at most one of each session."""
        taken: list[Job] = []
        with self._lock:
            while len(taken) < limit and (flow := self._first()) is not None:
                # It stays the first until it has no more: only a charge changes that.
                num_jobs = min(len(flow.jobs), limit - len(taken))
                taken += [flow.jobs.popleft() for _ in range(num_jobs)]
        return taken

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Put rows first of their requests that are not done; sessions stay theirs."""
        with self._lock:
            for job in jobs:
                if job.flow in self._flows:
                    job.flow.jobs.appendleft(job)
                    self._queue(job.flow)
                else:
                    self._hand_over(job)

    def charge(self, jobs: Iterable[Job]) -> int:
        """Note the events of rows that were computed since their last charge.

        Returns:
            How many.
        """
        events: dict[Flow, int] = {}
        for job in jobs:
            num_events = job.run.position - job.num_charged
            job.num_charged = job.run.position
            events[job.flow] = events.get(job.flow, 0) + num_events
        return self.charge_events(events)

    def charge_events(self, events: Mapping[Flow, int]) -> int:
        """Note the events of requests that were computed; return how many."""
        with self._lock:
            for flow, num_events in events.items():
                flow.num_events = max(flow.num_events - num_events, 0)
                if flow in self._flows:
                    tenant = self._tenants[flow.tenant]
                    tenant.flows.charge(flow, num_events)
                    self._shares.charge(tenant, num_events)
        return sum(events.values())

    def settled(self, jobs: Iterable[Job]) -> None:
        """Hand the sessions of rows that are settled to the next ones that wait."""
        with self._lock:
            for job in jobs:
                self._hand_over(job)

    def clear(self) -> list[Job]:
        """Forget all rows, and return those that waited."""
        with self._lock:
            waiting = [job for flow in self._flows for job in flow.jobs]
            waiting += [job for jobs in self._followers.values() for job in jobs]
            for flow in self._flows:
                flow.jobs.clear()
            self._owners.clear()
            self._followers.clear()
        return waiting

    def _hand_over(self, job: Job) -> None:
        key = job.key
        if key is None or self._owners.get(key) is not job:
            return
        followers = self._followers.pop(key, None) if self._followers else None
        while followers and followers[0].flow not in self._flows:
            followers.popleft()
        if not followers:
            del self._owners[key]
            return
        follower = self._owners[key] = followers.popleft()
        if followers:
            self._followers[key] = followers
        follower.flow.jobs.appendleft(follower)
        self._queue(follower.flow)

    def _queue(self, flow: Flow) -> None:
        tenant = self._tenants[flow.tenant]
        tenant.flows.queue(flow)
        self._shares.queue(tenant)

    def _first(self) -> Flow | None:
        tenant = self._shares.first()
        flow = tenant.flows.first() if isinstance(tenant, Tenant) else None
        return flow if isinstance(flow, Flow) else None
