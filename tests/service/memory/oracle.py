"""Promises of docs/explanation/memory.md in plain Python and NumPy.

No code of the service; as slow and as obvious as it can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = ("red", "green", "poison")
IDLE_SECONDS, TOMBSTONE_SECONDS = 100.0, 1000.0
NUM_ANSWERS, ANSWER_SECONDS = 3, 150.0
NUM_SNAPSHOTS = 2


@dataclass
class Stored:
    """An answer and the request it was for."""

    key: str | None
    request: Any
    at: int
    step: int
    stored_at: float
    answer: dict[str, Any]


@dataclass
class Remembered:
    """A session, live where `reason` is None."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(len(KINDS)))
    step: int = 0
    idle: float = IDLE_SECONDS
    expires_at: float = 0.0
    reason: str | None = None
    gone_at: float = 0.0
    answers: list[Stored] = field(default_factory=list)
    version: int = 1
    snapshots: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass
class Refusal:
    """An error: its status and code."""

    status: int
    code: str


@dataclass
class Replay:
    """A stored answer, given once more."""

    answer: dict[str, Any]


@dataclass
class Advance:
    """A new answer: what must be in it."""

    probabilities: list[float]
    step: int
    expires_at: float | None


Expected = Refusal | Replay | Advance


def named(known: Remembered | None) -> list[Stored]:
    """List a former life's answers that hold in the next: those under a key."""
    return [one for one in known.answers if one.key is not None] if known else []


class Oracle:
    """All sessions, and what each request should do to them."""

    def __init__(self) -> None:
        self.sessions: dict[str, Remembered] = {}
        self.version = 1

    def look(self, session: str, now: float) -> Remembered | None:
        """Find a session; an idle one has expired."""
        known = self.sessions.get(session)
        if known and known.reason is None and now >= known.expires_at:
            known.reason, known.gone_at = "expired", known.expires_at
        return known

    def predict(
        self, row: dict[str, Any], key: str | None, request: Any, now: float
    ) -> Expected:
        """Say what a row should be answered, and remember it."""
        session, at = row["session"], row.get("at")
        known = self.look(session, now)
        stored = self._find(known, row, key, request, now)
        if stored is not None:
            return stored
        refusal = self._admit(known, row)
        if refusal is not None:
            return refusal
        if "poison" in row["sequence"]:
            return Refusal(500, "non_finite")
        live = known if known and known.reason is None else None
        after = Remembered(answers=live.answers if live else named(known))
        after.version = self.version
        if live:
            after.counts = live.counts.copy()
            after.snapshots = self._ring(live)
        for event in row["sequence"]:
            after.counts[KINDS.index(event)] += 1
        before = live.step if live else 0
        after.step = before + len(row["sequence"])
        after.idle = row.get("ttl_seconds") or (live.idle if live else IDLE_SECONDS)
        after.expires_at = now + after.idle
        if row.get("end"):
            after.reason, after.gone_at = "ended", now
        self.sessions[session] = after
        shares = (after.counts / after.counts.sum()).tolist()
        answer: dict[str, Any] = {}
        if key is not None or at is not None:
            self._keep(after, Stored(key, request, before, after.step, now, answer))
        return Advance(shares, after.step, None if after.reason else after.expires_at)

    def _ring(self, live: Remembered) -> dict[int, np.ndarray]:
        """List the memories kept after a row; other weights' are dropped."""
        if live.version != self.version:
            return {}
        kept = {k: counts for k, counts in live.snapshots.items() if k < live.step}
        kept[live.step] = live.counts
        return dict(list(kept.items())[-NUM_SNAPSHOTS:])

    def fork(self, source: str, to: str, start: bool, now: float) -> Refusal | None:
        """Say what forking a session should be answered, and do it."""
        known, taken = self.look(source, now), self.look(to, now)
        refusal = self._expect_live(known)
        if known is None or refusal:
            return refusal
        if taken is not None and taken.reason is None:
            return Refusal(409, "session_live")
        if taken is not None and not start:
            return Refusal(410, "session_gone")
        copy = Remembered(known.counts.copy(), known.step, known.idle)
        copy.version, copy.snapshots = known.version, dict(known.snapshots)
        copy.expires_at = now + copy.idle
        copy.answers = named(taken)
        self.sessions[to] = copy
        return None

    def rewind(self, session: str, to_step: int, now: float) -> Refusal | None:
        """Say what rewinding a session should be answered, and do it."""
        known = self.look(session, now)
        refusal = self._expect_live(known)
        if known is None or refusal:
            return refusal
        if to_step != known.step and to_step not in known.snapshots:
            return Refusal(409, "snapshot_unavailable")
        if to_step != known.step:
            known.counts = known.snapshots[to_step].copy()
            known.step = to_step
            known.snapshots = {
                k: counts for k, counts in known.snapshots.items() if k <= to_step
            }
            known.answers = [one for one in known.answers if one.key is not None]
        known.expires_at = now + known.idle
        return None

    def _expect_live(self, known: Remembered | None) -> Refusal | None:
        if known is None:
            return Refusal(404, "session_not_found")
        return Refusal(410, "session_gone") if known.reason is not None else None

    def _find(
        self,
        known: Remembered | None,
        row: dict[str, Any],
        key: str | None,
        request: Any,
        now: float,
    ) -> Expected | None:
        for stored in known.answers if known else []:
            if now - stored.stored_at >= ANSWER_SECONDS or stored.key != key:
                continue
            if key is not None:
                if stored.request != request:
                    return Refusal(422, "idempotency_mismatch")
                return Replay(stored.answer)
            is_where_it_left = known is not None and stored.step == known.step
            at_is_behind = row.get("at") not in (None, known.step if known else 0)
            is_same = (stored.at, stored.request) == (row.get("at"), request)
            if at_is_behind and is_where_it_left and is_same:
                return Replay(stored.answer)
        return None

    def _admit(self, known: Remembered | None, row: dict[str, Any]) -> Refusal | None:
        is_live = known is not None and known.reason is None
        if is_live and row.get("start"):
            return Refusal(409, "session_live")
        if known is not None and not is_live and not row.get("start"):
            return Refusal(410, "session_gone")
        step = known.step if known is not None and is_live else 0
        if row.get("at") not in (None, step):
            return Refusal(409, "step_conflict")
        return None

    def _keep(self, session: Remembered, new: Stored) -> None:
        kept = [
            stored
            for stored in session.answers
            if new.stored_at - stored.stored_at < ANSWER_SECONDS
            and not (stored.key is None and new.key is None)
        ]
        session.answers = [*kept, new][-NUM_ANSWERS:]

    def remember_answer(self, session: str, answer: dict[str, Any]) -> None:
        """Note what the service said, to compare its repeats with."""
        for stored in self.sessions[session].answers:
            if not stored.answer:
                stored.answer.update(answer)

    def delete(self, session: str, now: float) -> Refusal | None:
        """Say what deleting a session should be answered, and forget it."""
        known = self.look(session, now)
        refusal = self._expect_live(known)
        if known is not None and refusal is None:
            known.reason, known.gone_at, known.answers = "deleted", now, []
        return refusal

    def sweep(self, now: float) -> None:
        """Forget what has been gone for long enough."""
        for session in list(self.sessions):
            known = self.look(session, now)
            if known and known.reason and known.gone_at + TOMBSTONE_SECONDS <= now:
                del self.sessions[session]
