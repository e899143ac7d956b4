"""The rules of a row's step: what it resumes from, and the record it ends in.

The rules of one row's step, free of stores and batches: whether it was answered before,
which memory it may advance, by which network, the record that takes the memory's place,
and what its client receives. Knows nothing of HTTP, of how rows are batched, or where
records are stored.
"""

from __future__ import annotations

from collections.abc import Callable

from service.common.value import Value
from service.engine.job import Call
from service.engine.repeats import Repeats
from service.engine.resume import NAMELESS, Named, ResumeState, check_statics
from service.engine.rows import Advanced, Outcome, Result, Row, log_defect
from service.engine.start_rules import StartRules, name_use
from service.errors import CarryoverError
from service.registry.catalog import Catalog
from service.sessions.lifecycle import NEVER_SEEN, Write
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, Tombstone
from service.sessions.sections import Snapshot, append_events, append_snapshot
from service.sessions.state_export import show_memory
from service.sessions.tokens.chains import name_chain, note_newest
from service.sessions.tokens.cipher import OpenedToken, TokenCipher, begin_chain
from service.sessions.version_policy import Lifetimes, Retention


class Step(Value, frozen=True, eq=False):
    """Computed step of a row, before it is stored.

    Args:
        outcome: The row's outcome.
        record: Of the memory it leaves.
        chain: Of the token that will seal that memory; empty where none will.
        chain_write: What the store is to keep of the chain, if it keeps chains.
    """

    outcome: Outcome
    record: Session
    chain: bytes = b""
    chain_write: Write | None = None


def entomb(record: Session) -> Tombstone:
    """Return what takes the place of a session that ends."""
    return Tombstone("ended", record.step, record.updated_at, record.answers)


def form_outcome(
    row: Row, resume_state: ResumeState, ahead: Advanced, step: int, expires_at: float
) -> Outcome:
    """Form a row's outcome; the outputs of a replayed history are not the row's."""
    outputs = ahead.outputs
    if resume_state.num_replayed:
        own = len(resume_state.own)
        outputs = {name: out[-own:] for name, out in outputs.items()}
    # What is in the open does not expire: nothing would hold the client to it.
    is_sealed = row.seal_memory and not row.is_plain
    is_kept = is_sealed or (row.session is not None and not row.end)
    return Outcome(
        outputs,
        step > len(row.sequence),
        step,
        expires_at if is_kept else None,
        version=resume_state.model.manifest.version,
        migrated_from=resume_state.migrated_from,
        is_reset=resume_state.is_reset,
        model=resume_state.model,
        is_restarted=row.start
        and resume_state.stored is not None
        and isinstance(resume_state.stored.record, Session),
    )


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
        start_rules: All the rules of what a row continues.
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
        self.start_rules = StartRules(
            seal, lifetimes, clock, retention.policies, catalog
        )
        self._repeats = Repeats(retention.answers, catalog, clock, is_clock_trusted)
        policies = {retention.policies.default, *retention.policies.models.values()}
        self.keeps_extras = bool(retention.snapshots) or "replay" in policies

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
            return self.start_rules.resume(call, row, stored, opened)
        if usual := continue_usual(call, row, stored):
            if usual.record is not None:
                return usual
            return self.start_rules.begin(call, row, usual)
        answered = self._repeats.find(call, row, stored)
        return answered or self.start_rules.resume(call, row, stored)

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
        use = name_use(call, row, is_reset=resume_state.is_reset)
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
            answers = self._repeats.keep(call, row, answers, outcome, record.updated_at)
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
        if (record.network, record.model_version) == call.model.maker:
            return ResumeState(stored, record, call.model, row.sequence)
    elif record is None and not row.is_strict:
        return check_statics(ResumeState(stored, None, call.model, row.sequence))
    return None


def has_answers(stored: StoredSession | None) -> bool:
    """Return whether answers of earlier rows are kept with a session."""
    record = stored.record if stored else None
    return isinstance(record, Session | Tombstone) and bool(record.answers)
