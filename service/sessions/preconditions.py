"""Preconditions of a row: whether it may advance a session's memory.

A pure function of what was found and what the row says; it knows no store.
"""

from __future__ import annotations

from service.common.text import format_time
from service.common.value import Value
from service.errors import (
    CorruptRecord,
    SequenceNotStarted,
    SessionGone,
    SessionLive,
    StepConflict,
    WrongNetwork,
)
from service.sessions.record import Session, Tombstone


class StoredSession(Value, frozen=True):
    """Stored entry of a session, expiry already applied.

    Args:
        version: The version to compare with when saving; 0 where nothing is stored.
        record: None where nothing is stored; the error where it cannot be read.
    """

    version: int
    record: Session | Tombstone | CorruptRecord | None


def check_preconditions(
    found: StoredSession,
    *,
    network: bytes,
    start: bool,
    at: int | None,
    is_strict: bool = False,
) -> Session | None:
    """Decide whether a row may advance a session, and from which memory.

    Args:
        found: What is known of the session.
        network: Fingerprint of the network that would advance it.
        start: Whether the row asks for a new session.
        at: The step the client believes the session is at; None if it does not say.
        is_strict: Whether `start` alone begins it, and restarts a live one.

    Returns:
        The live session; None where a new one may start.

    Raises:
        SessionGone: It is gone and the row does not say `start`.
        SessionLive: It is live and the row says `start`.
        StepConflict: It is at another step than `at`; 0 where a new one may start.
        WrongNetwork: Other weights made it and the row does not say `start`.
        CorruptRecord: It cannot be read and the row does not say `start`.
        SequenceNotStarted: The row is strict, does not say `start`, and the session is
            not live.
    """
    record = found.record
    if is_strict and start:
        check_step(0, at)
        return None
    if is_strict and (record is None or isinstance(record, Tombstone)):
        raise not_started(record)
    if isinstance(record, Session) and not (start and record.network != network):
        if start:
            raise still_live(record)
        return check_memory(record, network=network, at=at)
    if not start:
        if isinstance(record, CorruptRecord):
            raise record
        if isinstance(record, Tombstone):
            raise session_gone_error(record)
    check_step(0, at)
    return None


def check_memory(record: Session, *, network: bytes, at: int | None) -> Session:
    """Return a memory that a network may continue, wherever it was kept.

    Raises:
        WrongNetwork: Other weights made it.
        StepConflict: It is at another step than `at`.
    """
    if record.network != network:
        raise wrong_network(record)
    check_step(record.step, at)
    return record


def check_step(step: int, at: int | None) -> None:
    """Refuse a row that believes the memory to be at another step.

    Raises:
        StepConflict: It is at another step than `at`.
    """
    if at is not None and at != step:
        raise StepConflict(
            f"the row says the memory is at step {at}; it is at step {step}. Send the "
            f'events that follow step {step}, with "at": {step}.',
            step=step,
            expected=at,
        )


def still_live(session: Session) -> SessionLive:
    """Return the error of a session that is asked to begin while it is live."""
    return SessionLive(
        f'the row says "start", but the session is live at step {session.step}. Leave '
        '"start" out to continue it, or delete it first.',
        step=session.step,
    )


def wrong_network(record: Session) -> WrongNetwork:
    """Return the error of a memory that other weights made."""
    return WrongNetwork(
        f"this memory was made by other weights (version {record.model_version}) than "
        "are served now and does not fit them. Restart the sequence with "
        '"start": true (a session) or "memory": null, or serve the weights that made '
        "it.",
        step=record.step,
        model_version=str(record.model_version),
    )


def not_started(record: Tombstone | None) -> SequenceNotStarted:
    """Return the error of a sequence that is continued but has not begun."""
    fix = "Begin it with sequence_start."
    if record is None:
        return SequenceNotStarted(f"the sequence has not begun. {fix}")
    at = format_time(record.at)
    return SequenceNotStarted(
        f"the sequence {PAST[record.reason]} at {at}, at step {record.step}. {fix}",
        reason=record.reason,
        step=record.step,
        at=at,
    )


PAST = {"expired": "expired", "ended": "was ended", "deleted": "was deleted"}


def session_gone_error(tombstone: Tombstone) -> SessionGone:
    """Return the error with the time and step at which a session ended."""
    at = format_time(tombstone.at)
    return SessionGone(
        f"the session {PAST[tombstone.reason]} at {at}, at step {tombstone.step}. "
        'Send "start": true to begin it again.',
        reason=tombstone.reason,
        step=tombstone.step,
        at=at,
    )
