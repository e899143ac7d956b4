"""The engine: fetch memory, advance, commit. One request's rows in, outcomes out.

Rows are independent: each ends in an outcome or in its own error. Memory advances only
with a compare-and-set on the version it was read at; a row that lost the race is
computed again on the winner's memory. Knows nothing of HTTP or JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from service.batch import advance_batch
from service.catalog import Model
from service.errors import (
    CarryoverError,
    StoreFull,
    StoreUnavailable,
)
from service.memory.admission import Found
from service.memory.record import Session, Tombstone
from service.memory.seal import Seal
from service.memory.sessions import SessionKey, Sessions
from service.rows import Refused, Result, Row
from service.runtime import Signature
from service.transition import Call, Lifetimes, Past, Step, Transitions
from service.turns import contended, earlier_row_failed, take_turns

# Losing the race for so long means dozens of writers on one session, or a long row
# among quick ones: better told than tried for ever.
MAX_CONTENTION_SECONDS = 10.0


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
        self._transitions = Transitions(seal, lifetimes, clock)

    def advance(
        self,
        model: Model,
        rows: Sequence[Row | Refused],
        *,
        tenant: str = "",
        signature: Signature = "advance",
    ) -> list[Result]:
        """Advance every row and commit its memory.

        Args:
            model: The network.
            rows: The sequences; rows of one session are applied in their order, and
                none after one that failed.
            tenant: Whom sessions and tokens belong to.
            signature: `explain` for the gates too.

        Returns:
            For each row its outcome, or why it was refused.
        """
        call = Call(model, tenant, signature)
        results: dict[int, Result] = {}
        failed: set[str | None] = set()
        for turn in take_turns(rows):
            results |= self._advance_turn(call, {k: rows[k] for k in turn}, failed)
            failed |= {
                rows[k].session for k in turn if isinstance(results[k], CarryoverError)
            }
        return [results[k] for k in range(len(rows))]

    def _advance_turn(
        self, call: Call, rows: Mapping[int, Row | Refused], failed: set[str | None]
    ) -> dict[int, Result]:
        """Advance rows of different sessions until each has its result."""
        results: dict[int, Result] = {}
        pending: dict[int, Row] = {}
        for k, row in rows.items():
            if isinstance(row, Refused):
                results[k] = row.error
            elif row.session is not None and row.session in failed:
                results[k] = earlier_row_failed(row.session)
            else:
                pending[k] = row
        deadline = time.monotonic() + MAX_CONTENTION_SECONDS
        while pending and time.monotonic() < deadline:
            results |= self._attempt(call, pending)
            pending = {k: row for k, row in pending.items() if k not in results}
        return results | {
            k: contended(row, MAX_CONTENTION_SECONDS) for k, row in pending.items()
        }

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
        steps: dict[int, Step] = {}
        for (k, past), ahead in zip(pasts.items(), advanced, strict=True):
            if isinstance(ahead, CarryoverError):
                results[k] = ahead
            else:
                steps[k] = self._transitions.finish(rows[k], past, ahead)
        return results | self._commit(call, steps)

    def _recall(
        self, call: Call, rows: Mapping[int, Row]
    ) -> tuple[dict[int, Past], dict[int, Result]]:
        """Find each row's memory, or why it cannot continue."""
        remembered = [k for k, row in rows.items() if row.session is not None]
        keys = [call.key(str(rows[k].session)) for k in remembered]
        try:
            found = dict(zip(remembered, self.sessions.load(keys), strict=True))
        except StoreUnavailable as error:
            lost = dict.fromkeys(remembered, error)
            others = {k: row for k, row in rows.items() if k not in lost}
            pasts, results = self._recall(call, others)
            return pasts, results | lost
        pasts, results = {}, {}
        for k, row in rows.items():
            try:
                pasts[k] = self._transitions.begin(call, row, found.get(k))
            except CarryoverError as error:
                results[k] = error
        return pasts, results

    def _commit(self, call: Call, steps: Mapping[int, Step]) -> dict[int, Result]:
        """Store the sessions' memories; rows missing from the results lost a race.

        A store that refuses costs the rows that need it their step, and no other.
        """
        conclude = self._transitions.conclude
        writes: dict[int, tuple[SessionKey, Found, Session | Tombstone]] = {}
        for k, step in steps.items():
            session, found = step.row.session, step.past.found
            if session is not None and found is not None:
                writes[k] = call.key(session), found, step.after
        try:
            saved = self.sessions.save(list(writes.values()))
        except (StoreFull, StoreUnavailable) as error:
            others = {k: step for k, step in steps.items() if k not in writes}
            return {
                **dict.fromkeys(writes, error),
                **{k: conclude(call, step) for k, step in others.items()},
            }
        unsaved = {k: s for k, s in zip(writes, saved, strict=True) if s is not True}
        results: dict[int, Result] = {
            k: conclude(call, s) for k, s in steps.items() if k not in unsaved
        }
        refused = {k: s for k, s in unsaved.items() if isinstance(s, StoreFull)}
        return results | refused
