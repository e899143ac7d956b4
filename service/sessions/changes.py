"""Changes to a session that no event makes: forked, rewound, touched, imported.

Pure functions from a record to the one that takes its place. A change that is not a
step keeps what is promised of steps: answers to repeat stay only where a repeat of
their request would still be the same.
"""

from __future__ import annotations

from typing import NamedTuple

from service.errors import SessionLive, SnapshotUnavailable
from service.sessions.preconditions import StoredSession, session_gone_error
from service.sessions.record import Session, Tombstone
from service.sessions.sections import (
    decode_history,
    drop_later,
    find_snapshot,
    keep_first,
    keep_named,
    list_steps,
)


class Imported(NamedTuple):
    """A memory that comes from outside.

    Attributes:
        step: How many events it has absorbed.
        model_version: The version that made it.
        network: Fingerprint of those weights.
        tensors: Its tensors, as a record has them.
        last_event: Its newest event, as the network takes it; empty if unknown.
        idle_seconds: Idle time-to-live asked for; None keeps the session's or takes
            the model's.
    """

    step: int
    model_version: int
    network: bytes
    tensors: bytes
    last_event: bytes = b""
    idle_seconds: float | None = None


def claim(found: StoredSession, *, start: bool) -> Session | Tombstone | None:
    """Return what a new session would take the place of.

    Raises:
        SessionLive: A live session.
        SessionGone: One that is gone, and `start` is not said.
        CorruptRecord: One that cannot be read, and `start` is not said.
    """
    record = found.record
    if isinstance(record, Session):
        raise SessionLive(
            f"a session of this id is live at step {record.step}. Choose another id, "
            "or delete it first.",
            step=record.step,
        )
    if isinstance(record, Tombstone):
        if not start:
            raise session_gone_error(record)
        return record
    if record is not None and not start:
        raise record
    return None


def fork(
    source: Session,
    before: Session | Tombstone | None,
    now: float,
    idle_seconds: float | None,
) -> Session:
    """Begin a session with another one's memory.

    Its memory, snapshots and history come along; answers do not, because idempotency
    keys belong to the session they were sent to. So those of the id's own former life
    are kept: a request that was applied to it is not applied again.
    """
    idle = idle_seconds or source.idle_seconds
    return source.replace(
        created_at=now,
        updated_at=now,
        expires_at=now + idle,
        idle_seconds=idle,
        answers=keep_named(before.answers) if before else b"",
    )


def rewind(session: Session, to_step: int, now: float) -> Session:
    """Put a session back to an earlier memory.

    Raises:
        SnapshotUnavailable: It keeps no memory of that step.
    """
    kept = session.replace(updated_at=now, expires_at=now + session.idle_seconds)
    if to_step == session.step:
        return kept
    snapshot = find_snapshot(session.snapshots, to_step)
    if snapshot is None:
        raise _unavailable(session, to_step)
    history = keep_first(session.history, to_step, session.step)
    return kept.replace(
        step=to_step,
        tensors=snapshot.tensors,
        snapshots=drop_later(session.snapshots, to_step),
        history=history,
        last_event=_last_event(history, to_step),
        answers=keep_named(session.answers),
    )


def touch(session: Session, now: float, idle_seconds: float | None) -> Session:
    """Postpone a session's expiry, and change its idle time-to-live where one is given.

    `updated_at` stays: the memory did not advance.
    """
    idle = idle_seconds or session.idle_seconds
    return session.replace(expires_at=now + idle, idle_seconds=idle)


def replace(
    before: Session | Tombstone | None,
    memory: Imported,
    now: float,
    default_idle_seconds: float,
) -> Session:
    """Put an imported memory in a session's place, or begin a session with it.

    Snapshots are dropped and the history is given up: they led to another memory.
    Answers to keys stay, also a former life's: no request may be applied twice.
    """
    live = before if isinstance(before, Session) else None
    idle = memory.idle_seconds or (live.idle_seconds if live else default_idle_seconds)
    return Session(
        step=memory.step,
        model_version=memory.model_version,
        network=memory.network,
        created_at=live.created_at if live else now,
        updated_at=now,
        expires_at=now + idle,
        idle_seconds=idle,
        tensors=memory.tensors,
        last_event=memory.last_event,
        answers=keep_named(before.answers) if before else b"",
    )


def _last_event(history: bytes, step: int) -> bytes:
    """Take the newest event out of a history; empty where it is not whole."""
    events = decode_history(history).events
    return events[-(len(events) // step) :] if events and step else b""


def _unavailable(session: Session, to_step: int) -> SnapshotUnavailable:
    steps = list_steps(session.snapshots)
    kept = ", ".join(map(str, steps)) or "no earlier step"
    return SnapshotUnavailable(
        f"the session is at step {session.step} and keeps the memory of {kept}, not of "
        f"step {to_step}. Rewind to one it keeps; CARRYOVER_SNAPSHOTS says how many.",
        step=session.step,
        steps=steps,
    )
