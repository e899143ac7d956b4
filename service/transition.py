"""Transitions: what a row continues from, and what it leaves behind.

The rules of one row's step, free of stores and batches: which memory it may advance,
by which network, the record that takes the memory's place, and what its client is told.
Knows nothing of HTTP, of how rows are batched, or where records are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from service.catalog import Model
from service.memory.admission import Found, admit, check_memory, check_step
from service.memory.record import Session, Tombstone
from service.memory.seal import Seal
from service.memory.sessions import SessionKey
from service.rows import Advanced, Outcome, Row
from service.runtime import Signature


class Lifetimes(NamedTuple):
    """Default lifetimes in seconds: an idle session's, and a sealed memory's."""

    session_seconds: float
    token_seconds: float


@dataclass(frozen=True)
class Call:
    """What all rows of a request share."""

    model: Model
    tenant: str
    signature: Signature

    def key(self, session: str) -> SessionKey:
        """Name a session among all tenants and models."""
        return SessionKey(self.tenant, self.model.manifest.name, session)


class Past(NamedTuple):
    """What a row continues: as found in the store, the live part of it, and by whom.

    Attributes:
        found: What the store holds; None for a row without a session.
        record: The memory it continues; None begins a sequence.
        model: The version that advances it.
    """

    found: Found | None
    record: Session | None
    model: Model


class Step(NamedTuple):
    """A row that was computed: what it came from, what came out, what to store."""

    row: Row
    past: Past
    ahead: Advanced
    record: Session

    @property
    def after(self) -> Session | Tombstone:
        """What takes the place of the session's record."""
        if self.row.end:
            return Tombstone("ended", self.record.step, self.record.updated_at)
        return self.record


class Transitions:
    """The rules of a step, with the keys, lifetimes and the clock they need.

    Args:
        seal: Seals memory held by clients.
        lifetimes: Default lifetimes.
        clock: Seconds since 1970.
    """

    def __init__(
        self, seal: Seal, lifetimes: Lifetimes, clock: Callable[[], float]
    ) -> None:
        self._seal = seal
        self._lifetimes = lifetimes
        self._clock = clock

    def begin(self, call: Call, row: Row, found: Found | None) -> Past:
        """Decide what a row continues.

        Args:
            call: What the rows of the request share.
            row: The row.
            found: What the store holds for its session; None without a session.

        Raises:
            CarryoverError: It may not continue; see `service.memory.admission`.
        """
        return Past(found, self._admit(call, row, found), call.model)

    def _admit(self, call: Call, row: Row, found: Found | None) -> Session | None:
        network = call.model.fingerprint
        if found is not None:
            return admit(found, network=network, start=row.start, at=row.at)
        if row.token is None:
            check_step(0, row.at)
            return None
        name, now = call.model.manifest.name, self._clock()
        record = self._seal.open(row.token, tenant=call.tenant, model=name, now=now)
        return check_memory(record, network=network, at=row.at)

    def finish(self, row: Row, past: Past, ahead: Advanced) -> Step:
        """Form the record of a sequence's memory after a row."""
        before, now = past.record, self._clock()
        default = self._lifetimes.token_seconds
        if row.session is not None:
            default = self._lifetimes.session_seconds
        idle = row.ttl_seconds or (before.idle_seconds if before else default)
        record = Session(
            step=(before.step if before else 0) + len(row.sequence),
            model_version=past.model.manifest.version,
            network=past.model.fingerprint,
            created_at=before.created_at if before else now,
            updated_at=now,
            expires_at=now + idle,
            idle_seconds=idle,
            tensors=ahead.tensors,
        )
        return Step(row, past, ahead, record)

    def conclude(self, call: Call, step: Step) -> Outcome:
        """Tell what became of a row, and seal the memory its client holds."""
        row, record = step.row, step.record
        is_continued = record.step > len(row.sequence)
        outcome = Outcome(step.ahead.outputs, is_continued, record.step)
        if row.seal_memory:
            name = call.model.manifest.name
            token = self._seal.seal(record, tenant=call.tenant, model=name)
            return outcome._replace(expires_at=record.expires_at, token=token)
        if row.session is not None and not row.end:
            return outcome._replace(expires_at=record.expires_at)
        return outcome
