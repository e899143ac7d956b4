"""A job: one row on its way through the engine, from its memory to its result."""

from __future__ import annotations

import threading
import time

import numpy as np

from service.memory.sessions import SessionKey
from service.rows import Advanced, Result, Row
from service.transition import Call, Past

# By name, outputs of shape (batch, timesteps, ...).
Outputs = dict[str, np.ndarray]


class Submission:
    """Jobs whose results one caller waits for.

    Attributes:
        num_pending: How many have no result yet.
    """

    __slots__ = ("_event", "num_pending")

    def __init__(self) -> None:
        self.num_pending = 0
        self._event: threading.Event | None = None

    def settle_one(self) -> None:
        """Note that one more job has its result."""
        self.num_pending -= 1
        if not self.num_pending:
            self.wake()

    def listen(self) -> None:
        """Have `wake` heard from now on."""
        self._event = threading.Event()

    def wait(self) -> None:
        """Wait until woken, since `listen`."""
        if self._event is not None:
            self._event.wait()

    def wake(self) -> None:
        """Wake the caller: its jobs are done, or it is to go on with the ticks."""
        if self._event is not None:
            self._event.set()


class Job:
    """One row being advanced.

    Args:
        call: What the rows of its request share.
        row: The row.
        submission: Whom to tell of the result.
        deadline: When its client stops waiting, by `time.monotonic`.

    Attributes:
        key: Names its session; None without one.
        past: What it continues; set by `begin`.
        memory: The memory it has come to, as stored; None for one that has not begun.
        position: How many of its events are absorbed.
        result: Its outcome or error, at the end.
    """

    past: Past  # from `begin` on

    __slots__ = (
        "_parts",
        "began",
        "call",
        "deadline",
        "key",
        "memory",
        "past",
        "position",
        "result",
        "row",
        "submission",
    )

    def __init__(
        self, call: Call, row: Row, submission: Submission, deadline: float
    ) -> None:
        self.call = call
        self.row = row
        submission.num_pending += 1
        self.submission = submission
        self.deadline = deadline
        self.began = time.monotonic()
        self.key: SessionKey | None = None
        if row.session is not None:
            self.key = call.key(row.session)
        self.result: Result | None = None
        self.memory: bytes | None = None
        self.position = 0
        self._parts: list[tuple[Outputs, int, int]] = []

    def begin(self, past: Past) -> None:
        """Start, or start over, from a memory."""
        self.past = past
        self.memory = past.record.tensors if past.record else None
        self.position = 0
        self._parts = []

    @property
    def remaining(self) -> int:
        """How many events are left."""
        return len(self.row.sequence) - self.position

    def take(self, outputs: Outputs, index: int, length: int, memory: bytes) -> None:
        """Go on by `length` events: row `index` of a batch's outputs is this job's."""
        self._parts.append((outputs, index, length))
        self.position += length
        self.memory = memory

    def ahead(self) -> Advanced:
        """Return what it came to: outputs of all its timesteps, and the memory."""
        return Advanced(self._outputs(), self.memory or b"")

    def _outputs(self) -> Outputs:
        if len(self._parts) == 1:
            outputs, index, length = self._parts[0]
            return {name: value[index, :length] for name, value in outputs.items()}
        names = self._parts[0][0]
        return {
            name: np.concatenate([o[name][k, :n] for o, k, n in self._parts])
            for name in names
        }
