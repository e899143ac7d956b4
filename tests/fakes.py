"""Stand-ins for what a test must control; real parts serve for everything else."""

from __future__ import annotations


class FakeClock:
    """A clock that stands still until it is told to advance.

    Args:
        now: The first reading, in seconds since the epoch.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
