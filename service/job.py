"""A job: one row on its way through the engine, from its memory to its result."""

from __future__ import annotations

import threading

from service.call import Call
from service.past import Past
from service.rows import Result, Row
from service.run import Run


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
        began: When it was sent, by `time.monotonic`.
        deadline: When its client stops waiting, by the same clock.

    Attributes:
        key: Names its session in the store; None without one.
        past: What it continues; set by `begin`.
        run: How far it has come; set by `begin`.
        result: Its outcome or error, at the end.
    """

    past: Past
    run: Run

    __slots__ = (
        "began",
        "call",
        "deadline",
        "key",
        "past",
        "result",
        "row",
        "run",
        "submission",
    )

    def __init__(
        self,
        call: Call,
        row: Row,
        submission: Submission,
        began: float,
        deadline: float,
    ) -> None:
        submission.num_pending += 1
        self.call = call
        self.row = row
        self.submission = submission
        self.deadline = deadline
        self.began = began
        self.key = None if row.session is None else call.key(row.session)
        self.result: Result | None = None

    def begin(self, past: Past) -> None:
        """Start, or start over, from a memory."""
        self.past = past
        self.run = Run(past.sequence, past.tensors, self.row.is_last_only)

    def settle(self, result: Result) -> None:
        """Give it its result."""
        self.result = result
        self.submission.settle_one()
