"""The rules by which a row is let at a session's memory (never lost, never guessed).

A pure function of what was found and what the row says; it knows no store.
"""

from __future__ import annotations

from typing import NamedTuple

from service.errors import CorruptRecord, SessionGone, SessionLive, StepConflict
from service.memory.record import Session, Tombstone
from service.times import format_time


class Found(NamedTuple):
    """What the store holds for a session, expiry already applied.

    Attributes:
        version: The version to compare with when saving; 0 where nothing is stored.
        record: None where nothing is stored; the error where it cannot be read.
    """

    version: int
    record: Session | Tombstone | CorruptRecord | None


def admit(found: Found, *, start: bool, at: int | None) -> Session | None:
    """Decide whether a row may advance a session, and from which memory.

    Args:
        found: What is known of the session.
        start: Whether the row asks for a new session.
        at: The step the client believes the session is at; None if it does not say.

    Returns:
        The live session; None where a new one may start.

    Raises:
        SessionGone: It is gone and the row does not say `start`.
        SessionLive: It is live and the row says `start`.
        StepConflict: It is at another step than `at`; 0 where a new one may start.
        CorruptRecord: It cannot be read and the row does not say `start`.
    """
    record = found.record
    if isinstance(record, Session):
        if start:
            raise _still_live(record)
        _check_step(record.step, at)
        return record
    if isinstance(record, CorruptRecord) and not start:
        raise record
    if isinstance(record, Tombstone) and not start:
        raise gone(record)
    _check_step(0, at)
    return None


def _check_step(step: int, at: int | None) -> None:
    if at is not None and at != step:
        raise StepConflict(
            f"The row says the session is at step {at}; it is at step {step}. Send the "
            f'events that follow step {step}, with "at": {step}.',
            step=step,
            at=at,
        )


def _still_live(session: Session) -> SessionLive:
    return SessionLive(
        f'The row says "start", but the session is live at step {session.step}. Leave '
        '"start" out to continue it, or delete it first.',
        step=session.step,
    )


PAST = {"expired": "expired", "ended": "was ended", "deleted": "was deleted"}


def gone(tombstone: Tombstone) -> SessionGone:
    """Return the error that tells when and where a session went."""
    at = format_time(tombstone.at)
    return SessionGone(
        f"the session {PAST[tombstone.reason]} at {at}, at step {tombstone.step}. "
        'Send "start": true to begin it anew.',
        reason=tombstone.reason,
        step=tombstone.step,
        at=at,
    )
