"""Plans: what a client asks next, at random, and in which of the ways to ask safely.

Private sessions belong to one client, which knows their step; shared ones to all.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from typing import Any, NamedTuple

EVENTS = ("bear", "fox", "sofa", "kettle", "squirrel", "tree", "person", "blurry")
MAX_EVENTS = 20
# Now and then a row is under way for so long that others, in other workers, overtake
# it. Without them, a store without compare-and-set passes the audit on a busy machine.
LONG_EVENTS = 200
LONG_SHARE = 0.1
SHARED_SHARE = 0.6
# Sessions are followed by new ones at this length: the audit compares probabilities
# to 1e-5, and roundings of a float32 memory add up over thousands of steps.
MAX_STEP = 1000
# How a request protects itself: by its key, by the steps of its rows, by both; or not
# at all, and then its client asks afterwards where the session is.
WAYS = ("key", "key and at", "at", "plain")
WEIGHTS = (4, 2, 2, 2)


class Row(NamedTuple):
    """One row to send."""

    session: str
    events: tuple[str, ...]
    at: int | None = None
    is_end: bool = False

    def describe(self) -> dict[str, Any]:
        """Return it as it stands in a body."""
        row: dict[str, Any] = {"sequence": self.events, "session": self.session}
        if self.at is not None:
            row["at"] = self.at
        if self.is_end:
            row["end"] = True
        return row


class Request(NamedTuple):
    """Rows to send in one request.

    Attributes:
        rows: Without a key there is one, of a private session.
        key: Its idempotency key.
        before: Where it says neither key nor step: the step its session is at.
        may_conflict: Whether others may have advanced its session meanwhile.
    """

    rows: tuple[Row, ...]
    key: str | None
    before: int | None = None
    may_conflict: bool = False

    @property
    def is_guarded(self) -> bool:
        """Return whether it can be sent twice without being applied twice."""
        return self.key is not None or self.rows[0].at is not None

    @property
    def headers(self) -> dict[str, str]:
        """Its headers."""
        key = {} if self.key is None else {"Idempotency-Key": f'"{self.key}"'}
        return {"Content-Type": "application/json", **key}

    def body(self) -> bytes:
        """Write its body."""
        return json.dumps({"instances": [r.describe() for r in self.rows]}).encode()

    def guard(self) -> Request:
        """Say the step, where it said neither step nor key."""
        return self._replace(rows=(self.rows[0]._replace(at=self.before),))


class Commons:
    """The names of the shared sessions; safe to share between threads.

    Args:
        num_sessions: How many are in use at a time.
    """

    def __init__(self, num_sessions: int) -> None:
        self._lock = threading.Lock()
        self._names = [name_session() for _ in range(num_sessions)]

    def choose(self, rng: random.Random) -> str:
        """Choose one."""
        with self._lock:
            return rng.choice(self._names)

    def retire(self, name: str) -> None:
        """Let a new session take the place of one."""
        with self._lock:
            if name in self._names:
                self._names[self._names.index(name)] = name_session()


class Planner:
    """Makes up one client's requests.

    Args:
        rng: Its chance.
        commons: The sessions it shares with others.
        num_private: How many sessions it has to itself.
    """

    def __init__(self, rng: random.Random, commons: Commons, num_private: int) -> None:
        self._rng = rng
        self._commons = commons
        self._steps = {name_session(): 0 for _ in range(num_private)}
        self._seen: dict[str, int] = {}

    def plan(self) -> Request:
        """Make up a request."""
        [way] = self._rng.choices(WAYS, WEIGHTS)
        if way in ("at", "plain"):
            name = self._choose_private()
            row = self._make_row(name)
            if way == "at":
                return Request((row._replace(at=self._steps[name]),), None)
            return Request((row,), None, before=self._steps[name])
        key = str(uuid.UUID(int=self._rng.getrandbits(128)))
        if way == "key and at":
            row = self._make_row(self._choose())
            is_shared = row.session not in self._steps
            row = row._replace(at=self._find_step(row.session))
            return Request((row,), key, may_conflict=is_shared)
        num_rows = self._rng.choice((1, 1, 1, 2, 3))
        rows = tuple(self._make_row(self._choose(), num_rows) for _ in range(num_rows))
        return Request(rows, key)

    def learn(self, row: Row, step: int) -> None:
        """Take in where a session is after a row."""
        if row.session not in self._steps:
            self._seen[row.session] = step
            if step > MAX_STEP:
                self._commons.retire(row.session)
            return
        self._steps[row.session] = step
        if row.is_end or step > 2 * MAX_STEP:
            del self._steps[row.session]
            self._steps[name_session()] = 0

    def _choose(self) -> str:
        if self._rng.random() < SHARED_SHARE:
            return self._commons.choose(self._rng)
        return self._choose_private()

    def _choose_private(self) -> str:
        return self._rng.choice(list(self._steps))

    def _find_step(self, name: str) -> int:
        """Say where a session is; of a shared one, where it was when last seen."""
        if name in self._steps:
            return self._steps[name]
        return self._seen.get(name, 0)

    def _make_row(self, name: str, num_rows: int = 1) -> Row:
        is_long = self._rng.random() < LONG_SHARE
        num_events = LONG_EVENTS if is_long else self._rng.randint(1, MAX_EVENTS)
        events = self._rng.choices(EVENTS, k=num_events)
        # Alone, because later rows of an ended session would be refused.
        is_end = num_rows == 1 and self._steps.get(name, 0) > MAX_STEP
        return Row(name, tuple(events), is_end=is_end)


def name_session() -> str:
    """Make up a name nobody has used."""
    return str(uuid.uuid4())
