"""The rules of a row's step: what it resumes from, and the record it ends in.

The rules of one row's step, free of stores and batches: whether it was answered before,
which memory it may advance, by which network, the record that takes the memory's place,
and what its client receives. Knows nothing of HTTP, of how rows are batched, or where
records are stored.
"""

from __future__ import annotations

from collections.abc import Callable

from service.engine.call import Call
from service.engine.defect import log_defect
from service.engine.repeats import find_answer, keep_answer
from service.engine.resume import (
    NAMELESS,
    Named,
    ResumeState,
    check_statics,
    encode_for,
    resolve_start,
)
from service.engine.rows import Advanced, Outcome, Result, Row
from service.engine.sent_events import digest_events
from service.engine.step import Step, form_outcome
from service.errors import CarryoverError, CorruptRecord, WrongNetwork
from service.registry.catalog import Catalog
from service.sessions import changes
from service.sessions.lifecycle import NEVER_SEEN
from service.sessions.preconditions import StoredSession, check_preconditions
from service.sessions.record import Session, Tombstone
from service.sessions.sections import (
    Snapshot,
    append_events,
    append_snapshot,
    has_older,
)
from service.sessions.state_export import read_memory, show_memory
from service.sessions.tokens.chains import Use, check_use, name_chain, note_newest
from service.sessions.tokens.cipher import (
    OpenedToken,
    TokenCipher,
    begin_chain,
    digest_use,
)
from service.sessions.version_policy import (
    Continuation,
    Lifetimes,
    Retention,
    choose_version,
    find_version,
    is_made_by,
    stay,
)

# Part of the use of a token when its memory is dropped: to continue it is another use.
RESET = b"reset"


class Transitions:
    """The rules of a step, with the keys, lifetimes and the clock they need.

    Args:
        seal: Encrypts memory kept by clients.
        lifetimes: Default lifetimes.
        clock: Seconds since 1970.
        retention: What sessions keep in addition to their memory.
        catalog: The served models, to find other versions in.
        is_clock_trusted: Whether the clock may be followed in what cannot be undone;
            asked where an answer looks too old to be kept.

    Attributes:
        now: Returns the present.
        keeps_extras: Whether sessions keep more than their memory with each step.
    """

    def __init__(
        self,
        seal: TokenCipher,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
        retention: Retention,
        catalog: Catalog,
        is_clock_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._seal = seal
        self._lifetimes = lifetimes
        self.now = clock
        self._retention = retention
        policies = {retention.policies.default, *retention.policies.models.values()}
        self.keeps_extras = bool(retention.snapshots) or "replay" in policies
        self._catalog = catalog
        self._is_clock_trusted = is_clock_trusted

    def name(self, call: Call, row: Row) -> Named | CarryoverError:
        """Open the memory a row came with, and name what the store has of it.

        That is the record of its session, or of the chain of its token. Rows of one
        name are applied one after another. Needs no store.

        Returns:
            Both; or why the row cannot be applied.
        """
        try:
            if row.session is not None:
                return Named(call.key(row.session))
            if row.token is None:
                return NAMELESS
            model = call.model.manifest.name
            opened = self._seal.open(
                row.token, tenant=call.tenant, model=model, now=self.now()
            )
            if not self._seal.has_chains:
                return Named(None, opened)
            return Named(name_chain(opened.chain, call.tenant, model), opened)
        except CarryoverError as error:
            return error
        except Exception:
            return log_defect("the opening of a token")

    def resume(
        self,
        call: Call,
        row: Row,
        stored: StoredSession | None,
        opened: OpenedToken | None = None,
    ) -> ResumeState | Outcome:
        """Decide what a row continues.

        Args:
            call: What the rows of the request share.
            row: The row.
            stored: What the store has under its name; None without one.
            opened: What its token holds, as `name` returned it.

        Returns:
            What to run; or the row's outcome, where it was answered before.

        Raises:
            CarryoverError: It may not continue; see `service.sessions.preconditions`.
        """
        if row.session is None or stored is None:
            return self.resume_by_rules(call, row, stored, opened)
        if usual := continue_usual(call, row, stored):
            return usual if usual.record is not None else self._begin(call, row, usual)
        answered = self._find_answer(call, row, stored)
        return self.resume_by_rules(call, row, stored) if answered is None else answered

    def resume_by_rules(
        self,
        call: Call,
        row: Row,
        stored: StoredSession | None,
        opened: OpenedToken | None = None,
    ) -> ResumeState:
        """Decide what a new row continues, by all the rules; see `resume`."""
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
            resume_state = self._begin(call, row, resume_state)
        check_statics(resume_state)
        if opened is None:
            return resume_state
        if chain is not None:
            use = self._name_use(call, row, is_reset=resume_state.is_reset)
            check_use(chain, opened.record.step, use)
        return resume_state.replace(opened=opened, chain=chain)

    def _begin(self, call: Call, row: Row, usual: ResumeState) -> ResumeState:
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

    def _find_answer(
        self, call: Call, row: Row, stored: StoredSession
    ) -> Outcome | None:
        """Find the answer to a row that is a repeat, and the version that gave it."""
        if row.key is None and row.at is None:
            return None
        record = stored.record
        kept = record.answers if isinstance(record, Session | Tombstone) else b""
        since = self._find_oldest(kept, self.now())
        outcome = find_answer(call, row, stored, since)
        if outcome is None:
            return None
        served = self._catalog.family(call.model)
        version = find_version(outcome.version, call.model, served)
        return outcome.replace(model=version)

    def _find_oldest(self, answers: bytes, now: float) -> float:
        """Return since when answers count; any do while the clock cannot be trusted.

        An answer that was dropped by error would let its repeat be applied again.
        """
        since = now - self._retention.answers.seconds
        if not answers or not has_older(answers, since) or self._is_clock_trusted():
            return since
        return float("-inf")

    def _name_use(self, call: Call, row: Row, *, is_reset: bool) -> Use:
        """Name what a row uses its token for: to continue its memory, or to drop it."""
        manifest = call.model.manifest
        events = digest_events(row, manifest.input)
        return Use(
            digest_use(row.token, events + RESET if is_reset else events),
            digest_use(row.token, row.sequence.tobytes()),
            manifest.version,
        )

    def _read_plain(self, call: Call, row: Row) -> Session | None:
        """Read the memory a client sent in the open, if it did."""
        if row.plain is None:
            return None
        name = call.model.manifest.name
        family = self._catalog.family(call.model) or [call.model]
        memory = read_memory(row.plain, name, family)
        return changes.replace(None, memory, self.now(), self._lifetimes.token_seconds)

    def _choose(
        self, call: Call, row: Row, record: Session | Tombstone | CorruptRecord | None
    ) -> Continuation | None:
        """Choose the version that continues a memory; None where it is the request's.

        Raises:
            WrongNetwork: No version may.
        """
        model = call.model
        if not isinstance(record, Session) or is_made_by(model, record):
            return None
        if row.is_strict and row.start:
            return None
        served = self._catalog.family(model)
        policy = self._retention.policies.of(model.manifest.name)
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

    def complete(
        self, call: Call, row: Row, resume_state: ResumeState, ahead: Advanced
    ) -> Step:
        """Form the record of a sequence's memory after a row, and its outcome.

        Raises:
            AnswerTooLarge: The row has an idempotency key, and a session has no room
                for its answer; the row is not to be applied.
        """
        before, now, model = resume_state.record, self.now(), resume_state.model
        is_stored = row.session is not None
        if row.ttl_seconds is not None:
            idle = row.ttl_seconds
        elif before is not None:
            idle = before.idle_seconds
        elif is_stored:
            idle = self._lifetimes.of(model.manifest.name)
        else:
            idle = self._lifetimes.token_seconds
        step = len(row.sequence) + (0 if before is None else before.step)
        expires_at = now + idle
        outcome = form_outcome(row, resume_state, ahead, step, expires_at)
        record = Session(
            step,
            model.manifest.version,
            model.fingerprint,
            now if before is None else before.created_at,
            now,
            expires_at,
            idle,
            ahead.tensors,
            resume_state.sequence[-1].tobytes() if is_stored else b"",
        )
        if not is_stored:
            return self._seal_later(call, row, resume_state, Step(outcome, record))
        asks = row.key is not None or row.at is not None
        if self.keeps_extras or asks or has_answers(resume_state.stored):
            record = self._keep(call, row, resume_state, outcome, record)
        return Step(outcome, record)

    def _seal_later(
        self, call: Call, row: Row, resume_state: ResumeState, step: Step
    ) -> Step:
        """Note which chain a row's token continues, where it gets one.

        A sequence that is reset begins another chain, and its token of the old one is
        used up: nothing of the new chain is stored before its own first use.
        """
        if not row.seal_memory or row.is_plain:
            return step
        sent, newest, until = resume_state.opened, step.record, 0.0
        chain = old = sent.chain if sent else begin_chain()
        if not self._seal.has_chains:
            return step.replace(chain=begin_chain() if resume_state.is_reset else chain)
        use = self._name_use(call, row, is_reset=resume_state.is_reset)
        if sent is not None:
            until = sent.record.expires_at
            if resume_state.is_reset:  # a repeat of this row has to name the same chain
                chain = use.digest
                newest = newest.replace(step=sent.record.step + len(row.sequence))
        stored = resume_state.chain or NEVER_SEEN
        name = name_chain(old, call.tenant, call.model.manifest.name)
        write = name, stored, note_newest(stored, use, newest, until)
        return step.replace(chain=chain, chain_write=write)

    def _keep(
        self,
        call: Call,
        row: Row,
        resume_state: ResumeState,
        outcome: Outcome,
        record: Session,
    ) -> Session:
        """Add what a session keeps in addition to its memory."""
        before, retention, own = resume_state.record, self._retention, resume_state.own
        answers, snapshots, history = resume_state.answers, b"", b""
        if answers or row.key is not None or row.at is not None:
            answers = keep_answer(
                call,
                row,
                answers,
                outcome,
                now=record.updated_at,
                since=self._find_oldest(answers, record.updated_at),
                bounds=retention.answers,
            )
        if retention.snapshots and before and before.network == record.network:
            snapshot = Snapshot(before.step, before.tensors)
            snapshots = append_snapshot(
                before.snapshots, snapshot, size=retention.snapshots
            )
        if retention.policies.of(call.model.manifest.name) == "replay":
            history = append_events(
                before.history if before else None,
                resume_state.model.schema,
                own.tobytes(),
                max_bytes=retention.history_events * own[0].nbytes,
            )
        return record.replace(answers=answers, snapshots=snapshots, history=history)

    def seal_state(
        self, call: Call, row: Row, resume_state: ResumeState, step: Step
    ) -> Result:
        """Return the outcome of a row that is stored, with the memory its client holds.

        The memory is in the open, or sealed.
        """
        if not row.seal_memory:
            return step.outcome
        if row.is_plain:
            record = step.record.replace(last_event=resume_state.own[-1].tobytes())
            plain = show_memory(record, resume_state.model)
            return step.outcome.replace(plain=plain)
        token = self._seal.seal(
            step.record,
            tenant=call.tenant,
            model=call.model.manifest.name,
            chain=step.chain,
        )
        return step.outcome.replace(token=token)


def continue_usual(call: Call, row: Row, stored: StoredSession) -> ResumeState | None:
    """Continue a row for which there is nothing to decide, as most are.

    It begins a session that was never seen, or continues a live one by the version
    that made its memory, and says nothing of itself. Any other: None.

    Raises:
        InvalidEvent: The first event of a session lacks a static field.
    """
    if row.start or row.at is not None or row.key is not None:
        return None
    record = stored.record
    if isinstance(record, Session):
        if is_made_by(call.model, record):
            return ResumeState(stored, record, call.model, row.sequence)
    elif record is None and not row.is_strict:
        return check_statics(ResumeState(stored, None, call.model, row.sequence))
    return None


def has_answers(stored: StoredSession | None) -> bool:
    """Return whether answers of earlier rows are kept with a session."""
    record = stored.record if stored else None
    return isinstance(record, Session | Tombstone) and bool(record.answers)
