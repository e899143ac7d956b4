"""The ledger: every row the service acknowledged, and what happened on the way."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import NamedTuple


class Entry(NamedTuple):
    """A row of a session that was acknowledged.

    Attributes:
        step: The step the session was at after it, by its answer.
        events: Its events.
        probabilities: Of each label after its last event; None where only its step
            is known, because its answer was lost with no key to ask for it again.
    """

    step: int
    events: tuple[str, ...]
    probabilities: tuple[float, ...] | None


class Ledger:
    """Ledger of what was acknowledged to all clients; safe to share between threads.

    Attributes:
        entries: By session, in the order they were acknowledged.
        counts: How often each thing happened.
        objections: What should not have happened, in words.
        is_greed_on: Set while a greedy client asks.
        seconds_beside_greed: How long others' requests took that were sent meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.counts: Counter[str] = Counter()
        self.objections: list[str] = []
        self.is_greed_on = threading.Event()
        self.seconds_beside_greed: list[float] = []

    def acknowledge(self, session: str, entry: Entry) -> None:
        """Write a row down."""
        with self._lock:
            self.entries[session].append(entry)

    def count(self, what: str) -> None:
        """Count something."""
        with self._lock:
            self.counts[what] += 1

    def objection(self, text: str) -> None:
        """Write down what should not have happened."""
        with self._lock:
            self.objections.append(text)

    def note_beside_greed(self, seconds: float) -> None:
        """Write down how long an answer took while a greedy client asked."""
        with self._lock:
            self.seconds_beside_greed.append(seconds)
