"""Completed step of a row: its outcome, and the records stored before it is sent.

It does not know stores, nor how rows are batched.
"""

from __future__ import annotations

from service.common.value import Value
from service.engine.resume import ResumeState
from service.engine.rows import Advanced, Outcome, Row
from service.sessions.lifecycle import Write
from service.sessions.record import Session, Tombstone


class Step(Value, frozen=True, eq=False):
    """What a row came to, before it is stored.

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
    is_held = is_sealed or (row.session is not None and not row.end)
    return Outcome(
        outputs,
        step > len(row.sequence),
        step,
        expires_at if is_held else None,
        version=resume_state.model.manifest.version,
        migrated_from=resume_state.migrated_from,
        is_reset=resume_state.is_reset,
        model=resume_state.model,
        is_restarted=row.start
        and resume_state.stored is not None
        and isinstance(resume_state.stored.record, Session),
    )
