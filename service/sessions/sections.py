"""Sections of a record besides the memory: stored answers, snapshots and a history.

Answers are a short list, oldest first, stored together with the memory they stand for,
so that a repeat has the answer of the first. Snapshots are a ring of the memories at
the last steps, the newest last, to rewind to; a change of network drops them. A history
is all events of the session, to run them through another network: kept whole or not at
all, as a memory of the last events only would be a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from service.registry.catalog import SCHEMA_BYTES

# name, fingerprint, position, at, step, stored_at, bytes of the content
ANSWER_HEADER = Struct("<16s16sIQQdI")
STORED_AT = Struct("<d")
STORED_AT_OFFSET = 52
# An answer without a key; no digest of a key is likely to be all zeros.
NO_NAME = bytes(16)
SNAPSHOT_HEADER = Struct("<QI")  # step, bytes of the tensors
HISTORY_HEADER = Struct("<8s?")  # schema, is_whole


class StoredAnswer(NamedTuple):
    """One row's answer.

    Attributes:
        name: 16-byte digest of its idempotency key; `NO_NAME` where it had none.
        fingerprint: 16-byte digest of the request it answers.
        position: Which row of that request it answers.
        at: The step the session was at before the row.
        step: The step it was at after it.
        stored_at: Seconds since the epoch.
        content: The answer.
    """

    name: bytes
    fingerprint: bytes
    position: int
    at: int
    step: int
    stored_at: float
    content: bytes

    @property
    def size(self) -> int:
        """Bytes it takes in a record."""
        return ANSWER_HEADER.size + len(self.content)


class AnswerBounds(NamedTuple):
    """Limits of a session's stored answers: number, bytes and age."""

    answers: int = 8
    num_bytes: int = 65_536
    seconds: float = 86_400.0


def iterate_answers(section: bytes, since: float) -> Iterator[StoredAnswer]:
    """Yield the answers of a section stored after an instant, oldest first."""
    position = 0
    while position < len(section):
        *fields, size = ANSWER_HEADER.unpack_from(section, position)
        position += ANSWER_HEADER.size + size
        if fields[-1] > since:
            yield StoredAnswer._make((*fields, section[position - size : position]))


def has_older(section: bytes, since: float) -> bool:
    """Return whether an answer of a section was not stored after an instant."""
    return any(
        one.stored_at <= since for one in iterate_answers(section, float("-inf"))
    )


def append_answer(
    section: bytes, answer: StoredAnswer, bounds: AnswerBounds, since: float
) -> bytes | None:
    """Append an answer, dropping the oldest to make room.

    Those not stored after the instant `since` leave too.

    An answer without a key takes the place of the one before it without a key. The
    answers of one key leave together or not at all: half of them would let a repeat
    be applied in half.

    Returns:
        The section; None where it has no room for the answer.
    """
    kept = [
        one
        for one in iterate_answers(section, since)
        if not one.name == answer.name == NO_NAME
    ]
    kept.append(answer)
    while len(kept) > bounds.answers or sum(a.size for a in kept) > bounds.num_bytes:
        leaving = kept[0].name
        if kept[0] is answer or (leaving == answer.name != NO_NAME):
            return None
        same = leaving != NO_NAME
        kept = [a for a in kept[1:] if not (same and a.name == leaving)]
    return b"".join(
        ANSWER_HEADER.pack(*one[:-1], len(one.content)) + one.content for one in kept
    )


def prune(section: bytes, since: float) -> bytes:
    """Drop the answers not stored after an instant; cheap for a section without any."""
    if not section or STORED_AT.unpack_from(section, STORED_AT_OFFSET)[0] > since:
        return section
    return b"".join(
        ANSWER_HEADER.pack(*one[:-1], len(one.content)) + one.content
        for one in iterate_answers(section, since)
    )


def keep_named(section: bytes) -> bytes:
    """Drop the answers without a key.

    They hold only for a session that stands where their row left it, and one that was
    rewound or replaced may stand at that step with another memory.
    """
    named = [
        one for one in iterate_answers(section, float("-inf")) if one.name != NO_NAME
    ]
    return b"".join(
        ANSWER_HEADER.pack(*one[:-1], len(one.content)) + one.content for one in named
    )


class Snapshot(NamedTuple):
    """A memory, and after how many events the session had it."""

    step: int
    tensors: bytes


def append_snapshot(section: bytes, snapshot: Snapshot, *, size: int) -> bytes:
    """Put a memory into a ring.

    Args:
        section: The ring so far; empty for none.
        snapshot: The memory. A ring holds one for a step: those at its step or later
            are dropped, because a session that is there again was rewound.
        size: How many the ring holds; the oldest leave. 0 keeps none.
    """
    if not size:
        return b""
    earlier = [kept for kept in iterate_snapshots(section) if kept.step < snapshot.step]
    return encode_snapshots([*earlier, snapshot][-size:])


def find_snapshot(section: bytes, step: int) -> Snapshot | None:
    """Find the memory of a step, if the ring still holds it."""
    return next(
        (kept for kept in iterate_snapshots(section) if kept.step == step), None
    )


def list_steps(section: bytes) -> list[int]:
    """List the steps a session can be rewound to, oldest first."""
    return [kept.step for kept in iterate_snapshots(section)]


def drop_later(section: bytes, step: int) -> bytes:
    """Return the ring without the memories after a step, as rewinding leaves it."""
    return encode_snapshots(
        [kept for kept in iterate_snapshots(section) if kept.step <= step]
    )


def encode_snapshots(snapshots: list[Snapshot]) -> bytes:
    """Return the section of these memories, oldest first."""
    return b"".join(
        SNAPSHOT_HEADER.pack(step, len(tensors)) + tensors
        for step, tensors in snapshots
    )


def iterate_snapshots(section: bytes) -> Iterator[Snapshot]:
    """Yield the memories of a section, oldest first."""
    position = 0
    while position < len(section):
        step, size = SNAPSHOT_HEADER.unpack_from(section, position)
        position += SNAPSHOT_HEADER.size + size
        yield Snapshot(step, section[position - size : position])


class History(NamedTuple):
    """The events of a session.

    Attributes:
        schema: Digest of the input schema the events were encoded by.
        is_whole: Whether they are all there; if not, none is.
        events: Events one after another, as the network takes them.
    """

    schema: bytes
    is_whole: bool
    events: bytes


def append_events(
    section: bytes | None, schema: bytes, events: bytes, *, max_bytes: int
) -> bytes:
    """Append events to a history.

    Args:
        section: The history so far; None begins one. Empty where a session has none
            because it is older than the policy that needs it.
        schema: Digest of the input schema of the events.
        events: The events.
        max_bytes: Longest history; beyond it the history is given up.
    """
    before = History(schema, True, b"") if section is None else decode_history(section)
    whole = before.events + events
    if before.is_whole and before.schema == schema and len(whole) <= max_bytes:
        return HISTORY_HEADER.pack(schema, True) + whole
    return HISTORY_HEADER.pack(schema, False)


def decode_history(section: bytes) -> History:
    """Read a history; an empty section is one that was given up."""
    if not section:
        return History(bytes(SCHEMA_BYTES), False, b"")
    schema, is_whole = HISTORY_HEADER.unpack_from(section)
    return History(schema, is_whole, section[HISTORY_HEADER.size :])


def keep_first(section: bytes, num_kept: int, num_events: int) -> bytes:
    """Cut a history to its first events, as rewinding a session does.

    Args:
        section: The history.
        num_kept: How many events stay.
        num_events: How many there are: the step the session was at.
    """
    history = decode_history(section)
    if not history.is_whole or not num_events:
        return section
    size = len(history.events) // num_events
    return HISTORY_HEADER.pack(history.schema, True) + history.events[: num_kept * size]
