"""A job: one row on its way through the engine, and what it shares with others.

A call is what all rows of a request share, a submission the jobs that a caller waits
for, a flow the request's share of time, and a run the row's way through the network.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import lru_cache

import numpy as np

from service.engine.resume import NAMELESS, Named, ResumeState
from service.engine.rows import WHOLE, Advanced, Result, Row
from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.sessions.record import SessionKey, check_key
from service.stores.base import MAX_KEY_BYTES

# By name, outputs of shape (batch, timesteps, ...).
Outputs = dict[str, np.ndarray]


class Timings:
    """Durations of a request's phases in the engine, in seconds; its caller reads them.

    Attributes:
        queue: Of the row that waited longest, until the tick that took it in last: a
            row that lost a race is taken in again.
        fetch: Reading memories, in ticks that took a row of it in.
        network: Calls of networks in those ticks.
        commit: Storing memories in those ticks.
    """

    __slots__ = ("commit", "fetch", "network", "queue")

    def __init__(self) -> None:
        self.queue = self.fetch = self.network = self.commit = 0.0


class Call:
    """Parameters of a request that its rows share.

    Args:
        model: The network.
        tenant: Whom sessions and tokens belong to.
        signature: `explain` for the gates too.
        is_version_named: Whether the client named the model's version.
        timings: Where its times are measured, if anybody asks.
    """

    __slots__ = (
        "_begin_of_key",
        "is_version_named",
        "model",
        "signature",
        "tenant",
        "timings",
    )

    def __init__(
        self,
        model: Model,
        tenant: str,
        signature: Signature,
        is_version_named: bool = False,
        timings: Timings | None = None,
    ) -> None:
        self.model = model
        self.tenant = tenant
        self.signature = signature
        self.is_version_named = is_version_named
        self.timings = timings
        self._begin_of_key = begin_key(tenant, model.manifest.name)

    def key(self, session: str) -> bytes:
        """Name a session among all tenants and models, as the store does.

        Raises:
            InvalidRequest: No store has such a key.
        """
        key = self._begin_of_key + session.encode()
        return (
            key if len(key) <= MAX_KEY_BYTES and key.count(0) == 2 else check_key(key)
        )


@lru_cache(maxsize=1024)
def begin_key(tenant: str, model: str) -> bytes:
    """Return what the keys of a tenant's sessions of a model begin with."""
    return SessionKey(tenant, model, "").encode()


class Run:
    """A sequence being advanced.

    Args:
        sequence: Encoded events, of shape (timesteps,) or (timesteps, columns).
        memory: The memory before them, as stored; None for none.
        is_last_only: Whether to keep outputs of the last timestep only, and of every
            timestep only the one that is always shown whole. A long row costs less
            memory than its body then.

    Attributes:
        memory: The memory it has come to.
        position: How many events are absorbed.
        remaining: How many are left.
    """

    __slots__ = (
        "_is_last_only",
        "_outputs",
        "memory",
        "position",
        "remaining",
        "sequence",
    )

    def __init__(
        self, sequence: np.ndarray, memory: bytes | None, is_last_only: bool = False
    ) -> None:
        self.sequence = sequence
        self.memory = memory
        self.position = 0
        self.remaining = len(sequence)
        self._is_last_only = is_last_only
        self._outputs: Outputs = {}

    def take(self, outputs: Outputs, index: int, length: int, memory: bytes) -> None:
        """Go on by `length` events: row `index` of a batch's outputs is this run's."""
        begin = self.position
        self.position += length
        self.remaining -= length
        self.memory = memory
        if not begin and not self.remaining and length == 1:
            for name, value in outputs.items():
                self._outputs[name] = value[index, :1]
            return
        for name, value in outputs.items():
            if self._is_last_only and name != WHOLE:
                if not self.remaining:
                    self._outputs[name] = value[index, length - 1 : length].copy()
                continue
            if not begin:
                shape = (len(self.sequence), *value.shape[2:])
                self._outputs[name] = np.empty(shape, value.dtype)
            self._outputs[name][begin : self.position] = value[index, :length]

    def ahead(self) -> Advanced:
        """Return what it came to: the outputs it kept, and the memory."""
        return Advanced(self._outputs, self.memory or b"")


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
