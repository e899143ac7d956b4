"""All the rules of what a row continues: sent or stored memory, version, traffic.

Most rows need none of them: `service.engine.transition` continues those by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from service.engine.idempotency import digest_events
from service.engine.job import Call
from service.engine.resume import ResumeState, check_statics, encode_for, resolve_start
from service.engine.rows import Row
from service.errors import CarryoverError, CorruptRecord, WrongNetwork
from service.registry.catalog import Catalog
from service.sessions import changes
from service.sessions.lifecycle import NEVER_SEEN
from service.sessions.preconditions import StoredSession, check_preconditions
from service.sessions.record import Session, Tombstone
from service.sessions.state_export import read_memory
from service.sessions.tokens.chains import Use, check_use
from service.sessions.tokens.cipher import OpenedToken, TokenCipher, digest_use
from service.sessions.version_policy import (
    Continuation,
    Lifetimes,
    Policies,
    choose_version,
    stay,
)

# Part of the use of a token when its memory is dropped: to continue it is another use.
RESET = b"reset"


class StartRules:
    """Rules that choose the state a new row continues.

    Args:
        seal: Checks memory kept by clients.
        lifetimes: Default lifetimes.
        clock: Seconds since 1970.
        policies: Which version continues the memory that another one made.
        catalog: The served models, to find other versions in.
    """

    def __init__(
        self,
        seal: TokenCipher,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
        policies: Policies,
        catalog: Catalog,
    ) -> None:
        self._seal = seal
        self._lifetimes = lifetimes
        self._now = clock
        self._policies = policies
        self._catalog = catalog

    def resume(
        self,
        call: Call,
        row: Row,
        stored: StoredSession | None,
        opened: OpenedToken | None = None,
    ) -> ResumeState:
        """Decide what a new row continues; see `Transitions.resume`."""
        chain: StoredSession | None = None
        if row.session is None:
            chain, stored = stored, None
            stored_or_sent = self._read_sent(call, row, opened)
        else:
            stored_or_sent = stored or NEVER_SEEN
        chosen = self._choose(call, row, stored_or_sent.record)
        continued = check_preconditions(
            stored_or_sent,
            network=chosen.network if chosen else call.model.fingerprint,
            start=row.start,
            at=row.at,
            is_strict=row.is_strict,
        )
        if chosen is None:
            resume_state = ResumeState(stored, continued, call.model, row.sequence)
        else:
            resume_state = resolve_start(chosen, row, stored, continued, call.model)
        if continued is None and not resume_state.is_reset:
            resume_state = self.begin(call, row, resume_state)
        check_statics(resume_state)
        if opened is None:
            return resume_state
        if chain is not None:
            use = name_use(call, row, is_reset=resume_state.is_reset)
            check_use(chain, opened.record.step, use)
        return resume_state.replace(opened=opened, chain=chain)

    def begin(self, call: Call, row: Row, usual: ResumeState) -> ResumeState:
        """Begin a sequence on the version that the traffic of its model says.

        Rows without a session have no id that all workers know, and begin on the stable
        version. So do those of which the canary cannot take the first events.

        Args:
            call: What the rows of the request share.
            row: The row.
            usual: How it begins without traffic.
        """
        model = call.model
        if row.session is None or call.is_version_named:
            return usual
        first = self._catalog.begin_with(model, call.key(row.session))
        if first is model:
            return usual
        try:
            sequence = encode_for(row, first, model)
            return check_statics(ResumeState(usual.stored, None, first, sequence))
        except CarryoverError:
            return usual

    def _read_sent(
        self, call: Call, row: Row, opened: OpenedToken | None
    ) -> StoredSession:
        """Return the memory a client holds as if it had been found.

        Raises:
            PlainMemoryRefused: It is in the open, and may not be.
        """
        self._seal.check_plain(is_sent=row.plain is not None, is_wanted=row.is_plain)
        record = opened.record if opened else self._read_plain(call, row)
        return StoredSession(0, record)

    def _read_plain(self, call: Call, row: Row) -> Session | None:
        """Read the memory a client sent in the open, if it did."""
        if row.plain is None:
            return None
        name = call.model.manifest.name
        family = self._catalog.family(call.model) or [call.model]
        memory = read_memory(row.plain, name, family)
        return changes.replace(None, memory, self._now(), self._lifetimes.token_seconds)

    def _choose(
        self, call: Call, row: Row, record: Session | Tombstone | CorruptRecord | None
    ) -> Continuation | None:
        """Choose the version that continues a memory; None where it is the request's.

        Raises:
            WrongNetwork: No version may.
        """
        model = call.model
        if not isinstance(record, Session):
            return None
        if (record.network, record.model_version) == model.maker:
            return None
        if row.is_strict and row.start:
            return None
        served = self._catalog.family(model)
        policy = self._policies.of(model.manifest.name)
        is_on_trial = bool(self._catalog.traffic(model.manifest.name).canary)
        if record.network == model.fingerprint:
            # A canary of the same weights keeps the sessions that it began, too.
            stays = is_on_trial and not call.is_version_named
            return stay(record, served) if stays else None
        if is_on_trial and any(other.fingerprint == record.network for other in served):
            policy = "pin"  # a canary on trial moves no live session
        try:
            return choose_version(
                record,
                model,
                served,
                policy,
                is_version_named=call.is_version_named,
            )
        except WrongNetwork:
            if not row.start:
                raise
            return None


def name_use(call: Call, row: Row, *, is_reset: bool) -> Use:
    """Name what a row uses its token for: to continue its memory, or to drop it."""
    manifest = call.model.manifest
    events = digest_events(row, manifest.input)
    return Use(
        digest_use(row.token, events + RESET if is_reset else events),
        digest_use(row.token, row.sequence.tobytes()),
        manifest.version,
    )
