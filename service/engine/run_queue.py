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
from heapq import heappop, heappush, heapreplace
from itertools import count

from service.common.loop import make_brief_lock
from service.engine.job import Flow, Job

# A request that arrives is served at once if it is small: a tick or two of events.
CREDIT_EVENTS = 128


class Tenant:
    """Requests of one tenant that wait.

    Attributes:
        heap: Its requests that may be chosen, the one served least first.
        num_flows: How many requests it has.
        time: Virtual time of its requests, in events.
        served: Events it was charged, in the virtual time of all tenants.
        credit: Events that are charged twice.
        is_queued: Whether it may be chosen.
    """

    __slots__ = ("credit", "heap", "is_queued", "num_flows", "served", "time")

    def __init__(self, served: float) -> None:
        self.heap: list[tuple[float, int, Flow]] = []
        self.num_flows = 0
        self.time = 0.0
        self.served = served
        self.credit = CREDIT_EVENTS
        self.is_queued = False


class RunQueue:
    """Rows that wait, or are between two ticks. Safe to share between threads.

    Attributes:
        tenants: Those with open requests, by their names.
        flows: The open requests.
        owners: By the keys of sessions, the row that each belongs to.
    """

    def __init__(self) -> None:
        self._lock = make_brief_lock()
        self._time = 0.0  # virtual time of the tenants, in events
        self._heap: list[tuple[float, int, Tenant]] = []
        self._ticket = count()
        self.tenants: dict[str, Tenant] = {}
        self.flows: set[Flow] = set()
        self.owners: dict[bytes, Job] = {}
        self._followers: dict[bytes, deque[Job]] = {}

    def __len__(self) -> int:
        """Count the rows that wait."""
        with self._lock:
            waiting = sum(len(flow.jobs) for flow in self.flows)
            return waiting + sum(map(len, self._followers.values()))

    def open(self, flow: Flow) -> None:
        """Let a request take part."""
        with self._lock:
            tenant = self.tenants.get(flow.tenant)
            if tenant is None:
                tenant = Tenant(self._time - CREDIT_EVENTS)
                self.tenants[flow.tenant] = tenant
            tenant.num_flows += 1
            flow.served, flow.credit = tenant.time - CREDIT_EVENTS, CREDIT_EVENTS
            self.flows.add(flow)

    def close(self, flow: Flow) -> None:
        """Forget a request; rows of it that wait have lost their caller."""
        with self._lock:
            self.flows.discard(flow)
            tenant = self.tenants[flow.tenant]
            tenant.num_flows -= 1
            if not tenant.num_flows:
                del self.tenants[flow.tenant]
            while flow.jobs:
                self._hand_over(flow.jobs.popleft())

    def others(self, num_rows: int, num_events: int) -> tuple[int, int]:
        """Count what is served before a request of that size can be done.

        While it is served, each other request gets as much as it does, or all it has.

        Returns:
            Rows and events.
        """
        with self._lock:
            rows = sum(min(flow.num_rows, num_rows) for flow in self.flows)
            events = sum(min(flow.num_events, num_events) for flow in self.flows)
        return rows, events

    def add(self, flow: Flow, jobs: Iterable[Job]) -> None:
        """Let rows of an open request wait."""
        with self._lock:
            for job in jobs:
                key = job.key
                if key is None or self.owners.setdefault(key, job) is job:
                    flow.jobs.append(job)
                else:
                    self._followers.setdefault(key, deque()).append(job)
            if not flow.is_queued:
                self._queue(flow)

    def take(self, limit: int) -> list[Job]:
        """Take the rows of the next tick, at most one of each session."""
        taken: list[Job] = []
        with self._lock:
            while self._heap and len(taken) < limit:
                flow = self._find_first()
                if flow is None:
                    break
                # It stays the first until it has no more: only a charge changes that.
                jobs = flow.jobs
                while jobs and len(taken) < limit:
                    taken.append(jobs.popleft())
                if not jobs:
                    self._dequeue_first()
        return taken

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Put rows first of their requests that are not done; sessions stay theirs."""
        with self._lock:
            for job in jobs:
                if job.flow in self.flows:
                    job.flow.jobs.appendleft(job)
                    self._queue(job.flow)
                else:
                    self._hand_over(job)

    def charge(self, jobs: Iterable[Job]) -> int:
        """Note the events of rows that were computed since their last charge.

        Returns:
            How many.
        """
        total = 0
        with self._lock:
            for job in jobs:
                if not job.is_begun:  # it advances as part of columns, or failed
                    continue
                num_events = job.run.position - job.num_charged
                job.num_charged = job.run.position
                self._charge(job.flow, num_events)
                total += num_events
        return total

    def charge_events(self, events: Mapping[Flow, int]) -> int:
        """Note the events of requests that were computed; return how many."""
        with self._lock:
            for flow, num_events in events.items():
                self._charge(flow, num_events)
        return sum(events.values())

    def _charge(self, flow: Flow, num_events: int) -> None:
        """Note service; a virtual time is what each member would have had by now."""
        flow.num_events = max(flow.num_events - num_events, 0)
        if flow not in self.flows:
            return
        tenant = self.tenants[flow.tenant]
        for member in (flow, tenant):
            paid = min(member.credit, num_events)
            member.credit -= paid
            member.served += num_events + paid
        tenant.time += num_events / tenant.num_flows
        self._time += num_events / len(self.tenants)

    def settled(self, jobs: Iterable[Job]) -> None:
        """Hand the sessions of rows that are settled to the next ones that wait."""
        with self._lock:
            owners = self.owners
            for job in jobs:
                key = job.key
                if key is None or owners.get(key) is not job:
                    continue
                if self._followers:
                    self._hand_over(job)
                else:
                    del owners[key]

    def clear(self) -> list[Job]:
        """Forget all rows, and return those that waited."""
        with self._lock:
            waiting = [job for flow in self.flows for job in flow.jobs]
            waiting += [job for jobs in self._followers.values() for job in jobs]
            for flow in self.flows:
                flow.jobs.clear()
            self.owners.clear()
            self._followers.clear()
        return waiting

    def _hand_over(self, job: Job) -> None:
        key = job.key
        if key is None or self.owners.get(key) is not job:
            return
        followers = self._followers.pop(key, None) if self._followers else None
        while followers and followers[0].flow not in self.flows:
            followers.popleft()
        if not followers:
            del self.owners[key]
            return
        follower = self.owners[key] = followers.popleft()
        if followers:
            self._followers[key] = followers
        follower.flow.jobs.appendleft(follower)
        self._queue(follower.flow)

    def _queue(self, flow: Flow) -> None:
        """Let a request that has work be chosen, and its tenant."""
        tenant = self.tenants[flow.tenant]
        if not flow.is_queued:
            flow.is_queued = True
            heappush(tenant.heap, (flow.served, next(self._ticket), flow))
        if not tenant.is_queued:
            tenant.is_queued = True
            heappush(self._heap, (tenant.served, next(self._ticket), tenant))

    def _dequeue_first(self) -> None:
        """Let the first request of the first tenant not be chosen: it has no work."""
        tenant = self._heap[0][2]
        heappop(tenant.heap)[2].is_queued = False
        if not tenant.heap:
            heappop(self._heap)
            tenant.is_queued = False

    def _find_first(self) -> Flow | None:
        """Find the request with work that was served least, of the tenant that was."""
        while self._heap:
            served, _, tenant = self._heap[0]
            flow = tenant.heap[0][2] if tenant.heap else None
            if flow is not None and not (
                flow.jobs and tenant.heap[0][0] == flow.served
            ):
                flow = self._find_first_of(tenant)
            if flow is None:
                heappop(self._heap)
                tenant.is_queued = False
            elif served == tenant.served:
                return flow
            else:  # it was served since it was queued
                heapreplace(self._heap, (tenant.served, next(self._ticket), tenant))
        return None

    def _find_first_of(self, tenant: Tenant) -> Flow | None:
        heap = tenant.heap
        while heap:
            served, _, flow = heap[0]
            if not flow.jobs:
                heappop(heap)
                flow.is_queued = False
            elif served == flow.served:
                return flow
            else:
                heapreplace(heap, (flow.served, next(self._ticket), flow))
        return None
