"""The engine: fetch memory, advance, commit. One request's rows in, outcomes out.

Rows are independent: each ends in an outcome or in its own error. Memory advances only
with a compare-and-set on the version it was read at; a row that lost the race is
computed again on the winner's memory. Knows nothing of HTTP or JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from service.batch import Advanced, advance_batch
from service.catalog import Model
from service.errors import CarryoverError, SessionContended, StepConflict, WrongNetwork
from service.memory.record import Session, Tombstone
from service.memory.seal import Seal
from service.memory.sessions import Found, SessionKey, Sessions, admit
from service.rows import Outcome, Result, Row, take_turns
from service.runtime import Signature

# Losing this often in a row means dozens of writers on one session, not bad luck.
MAX_ATTEMPTS = 100


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
    """A row's memory before it: as found in the store, and the live part of it."""

    found: Found | None
    record: Session | None


class Engine:
    """Advances rows of any model.

    Args:
        sessions: Memory held by the service.
        seal: Seals memory held by clients.
        lifetimes: Default lifetimes.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        sessions: Sessions,
        seal: Seal,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
    ) -> None:
        self.sessions = sessions
        self._seal = seal
        self._lifetimes = lifetimes
        self._clock = clock

    def advance(
        self,
        model: Model,
        rows: Sequence[Row],
        *,
        tenant: str = "",
        signature: Signature = "advance",
    ) -> list[Result]:
        """Advance every row and commit its memory.

        Args:
            model: The network.
            rows: The sequences; rows of one session are applied in their order.
            tenant: Whom sessions and tokens belong to.
            signature: `explain` for the gates too.

        Returns:
            For each row its outcome, or why it was refused.
        """
        call = Call(model, tenant, signature)
        results: dict[int, Result] = {}
        for turn in take_turns(rows):
            pending = {k: rows[k] for k in turn}
            for _ in range(MAX_ATTEMPTS):
                results |= self._attempt(call, pending)
                pending = {k: r for k, r in pending.items() if k not in results}
                if not pending:
                    break
            results |= {k: contended(row) for k, row in pending.items()}
        return [results[k] for k in range(len(rows))]

    def _attempt(self, call: Call, rows: Mapping[int, Row]) -> dict[int, Result]:
        """Try rows once; those missing from the results lost a race."""
        pasts, results = self._recall(call, rows)
        if not pasts:
            return results
        advanced = advance_batch(
            call.model,
            call.signature,
            [rows[k].sequence for k in pasts],
            [past.record.tensors if past.record else None for past in pasts.values()],
        )
        now = self._clock()
        taken: dict[int, tuple[Advanced, Session]] = {}
        for (k, past), ahead in zip(pasts.items(), advanced, strict=True):
            if isinstance(ahead, CarryoverError):
                results[k] = ahead
            else:
                taken[k] = ahead, self._next_record(call, rows[k], past, ahead, now)
        for k in self._commit(call, rows, pasts, taken, now):
            results[k] = self._outcome(call, rows[k], *taken[k])
        return results

    def _recall(
        self, call: Call, rows: Mapping[int, Row]
    ) -> tuple[dict[int, Past], dict[int, Result]]:
        """Find each row's memory, or why it cannot continue."""
        remembered = [k for k, row in rows.items() if row.session is not None]
        keys = [call.key(str(rows[k].session)) for k in remembered]
        found = dict(zip(remembered, self.sessions.load(keys), strict=True))
        pasts: dict[int, Past] = {}
        results: dict[int, Result] = {}
        for k, row in rows.items():
            try:
                pasts[k] = Past(found.get(k), self._admit(call, row, found.get(k)))
            except CarryoverError as error:
                results[k] = error
        return pasts, results

    def _admit(self, call: Call, row: Row, found: Found | None) -> Session | None:
        """Return the memory a row continues; None begins a sequence."""
        model = call.model
        if found is not None:
            if is_foreign(found.record, model) and row.start:
                return None  # the one way on for a session of other weights
            record = admit(found, start=row.start, at=row.at)
        elif row.token is not None:
            name, now = model.manifest.name, self._clock()
            record = self._seal.open(row.token, tenant=call.tenant, model=name, now=now)
            check_step(record, row.at)
        else:
            return None
        if is_foreign(record, model):
            raise wrong_network(record, model)
        return record

    def _next_record(
        self, call: Call, row: Row, past: Past, ahead: Advanced, now: float
    ) -> Session:
        """Form the record of a sequence's memory after a row."""
        before = past.record
        default = self._lifetimes.token_seconds
        if row.session is not None:
            default = self._lifetimes.session_seconds
        idle = row.ttl_seconds or (before.idle_seconds if before else default)
        return Session(
            step=(before.step if before else 0) + len(row.sequence),
            model_version=call.model.manifest.version,
            network=call.model.fingerprint,
            created_at=before.created_at if before else now,
            updated_at=now,
            expires_at=now + idle,
            idle_seconds=idle,
            tensors=ahead.tensors,
        )

    def _commit(
        self,
        call: Call,
        rows: Mapping[int, Row],
        pasts: Mapping[int, Past],
        taken: Mapping[int, tuple[Advanced, Session]],
        now: float,
    ) -> list[int]:
        """Store the sessions' memories; return the rows whose answer now stands."""
        writes: dict[int, tuple[SessionKey, Found, Session | Tombstone]] = {}
        for k, (_, record) in taken.items():
            session, found = rows[k].session, pasts[k].found
            if session is None or found is None:
                continue
            ended = Tombstone("ended", record.step, now)
            after = ended if rows[k].end else record
            writes[k] = call.key(session), found, after
        saved = self.sessions.save(list(writes.values()))
        lost = {k for k, won in zip(writes, saved, strict=True) if not won}
        return [k for k in taken if k not in lost]

    def _outcome(
        self, call: Call, row: Row, ahead: Advanced, record: Session
    ) -> Outcome:
        """Tell what became of a row, and seal the memory its client holds."""
        length = len(row.sequence)
        outcome = Outcome(ahead.outputs, record.step > length, record.step)
        if row.seal_memory:
            name = call.model.manifest.name
            token = self._seal.seal(record, tenant=call.tenant, model=name)
            return outcome._replace(expires_at=record.expires_at, token=token)
        if row.session is not None and not row.end:
            return outcome._replace(expires_at=record.expires_at)
        return outcome


def is_foreign(record: object, model: Model) -> TypeGuard[Session]:
    """Tell whether live memory was made by another network than the served one."""
    return isinstance(record, Session) and record.network != model.fingerprint


def check_step(record: Session, at: int | None) -> None:
    """Refuse a sealed memory at another step than the row believes."""
    if at is not None and at != record.step:
        raise StepConflict(
            f"the memory is at step {record.step}, the row says {at}. Send the memory "
            "of the last answer.",
            step=record.step,
            at=at,
        )


def wrong_network(record: Session, model: Model) -> CarryoverError:
    """Tell that memory was made by another network than the one being served."""
    name, version = model.manifest.name, model.manifest.version
    return WrongNetwork(
        f"this memory of {name} was made by other weights (version "
        f"{record.model_version}) than are served now (version {version}) and does not "
        'fit them. Begin the sequence anew with "start": true (a session) or "memory": '
        "null, or serve the weights that made it.",
        step=record.step,
        model_version=str(record.model_version),
    )


def contended(row: Row) -> CarryoverError:
    """Tell a client that others kept changing its session."""
    return SessionContended(
        f"session {row.session!r} was changed by other requests {MAX_ATTEMPTS} times "
        "while this one was computed; nothing was stored. Send its events from one "
        "client at a time, then repeat the request."
    )
