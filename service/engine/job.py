"""A job: one row on its way through the engine, from its memory to its result."""

from __future__ import annotations

import threading
from collections import deque

from service.engine.call import Call
from service.engine.resume import NAMELESS, Named, ResumeState
from service.engine.rollout import Run
from service.engine.rows import Result, Row


class Submission:
    """Jobs that one caller waits for.

    Attributes:
        num_pending: How many have no result yet.
    """

    __slots__ = ("_event", "num_pending")

    def __init__(self) -> None:
        self.num_pending = 0
        self._event: threading.Event | None = None

    def settle(self, num_jobs: int) -> None:
        """Note that more jobs have their results; the last one wakes the caller."""
        self.num_pending -= num_jobs
        if not self.num_pending and self._event is not None:
            self._event.set()

    def listen(self) -> None:
        """Have `wake` heard from now on."""
        self._event = threading.Event()

    def wait(self) -> None:
        """Wait until woken, since `listen`."""
        if self._event is not None:
            self._event.wait()

    def wake(self) -> None:
        """Wake the caller: its jobs are done, or it is to run the ticks."""
        if self._event is not None:
            self._event.set()


class Flow:
    """A request's share of the engine's time.

    Args:
        tenant: Tenant of the request.
        num_rows: How many rows it has.
        num_events: How many events they have in all.

    Attributes:
        num_all_events: How many it came with.
        num_events: How many are left.
        jobs: Rows of it that wait.
        served: Events it was charged, in its tenant's virtual time.
        credit: Events that are charged twice.
        is_queued: Whether it may be chosen.
    """

    __slots__ = (
        "credit",
        "is_queued",
        "jobs",
        "num_all_events",
        "num_events",
        "num_rows",
        "served",
        "tenant",
    )

    def __init__(self, tenant: str, num_rows: int, num_events: int) -> None:
        self.tenant = tenant
        self.num_rows = num_rows
        self.num_events = self.num_all_events = num_events
        self.jobs: deque[Job] = deque()
        self.served = 0.0
        self.credit = 0
        self.is_queued = False


class Job:
    """One row being advanced.

    Args:
        call: What the rows of its request share.
        row: The row.
        flow: Of its request.
        submission: What to notify of the result.
        began: When it was sent, by `time.monotonic`.
        deadline: When its client stops waiting, by the same clock.
        named: What it comes with.

    Attributes:
        key: Names its session in the store, or its token's chain; None without one.
        opened: What its token holds, if it came with one.
        resume_state: What it continues; set by `begin`.
        is_begun: Whether its memory was found.
        num_charged: Events its request was charged for.
        run: How far it has come; set by `begin`.
        result: Its outcome or error, at the end.
    """

    resume_state: ResumeState
    run: Run

    __slots__ = (
        "began",
        "call",
        "deadline",
        "flow",
        "is_begun",
        "key",
        "num_charged",
        "opened",
        "result",
        "resume_state",
        "row",
        "run",
        "submission",
    )

    def __init__(
        self,
        call: Call,
        row: Row,
        flow: Flow,
        submission: Submission,
        began: float,
        deadline: float,
        named: Named = NAMELESS,
    ) -> None:
        submission.num_pending += 1
        self.call = call
        self.row = row
        self.flow = flow
        self.is_begun = False
        self.num_charged = 0
        self.submission = submission
        self.deadline = deadline
        self.began = began
        self.key, self.opened = named.key, named.opened
        self.result: Result | None = None

    def begin(self, resume_state: ResumeState) -> None:
        """Start, or start over, from a memory."""
        self.resume_state = resume_state
        self.is_begun, self.num_charged = True, 0
        record = resume_state.record
        memory = record.tensors if record is not None else None
        if resume_state.num_replayed:  # they rebuild it
            memory = None
        self.run = Run(resume_state.sequence, memory, self.row.is_last_only)

    def settle(self, result: Result) -> None:
        """Give it its result."""
        self.result = result
        self.submission.settle(1)
