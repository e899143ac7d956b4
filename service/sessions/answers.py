"""Stored answers: what a session has answered lately, so that a repeat can have it.

A short list, oldest first, kept in the record of the session (the `answers` section),
so that an answer and the memory it stands for are stored together or not at all. It
does not know what an answer holds; `service.engine.repeats` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

# name, fingerprint, position, at, step, stored_at, bytes of the content
HEADER = Struct("<16s16sIQQdI")
STORED_AT = Struct("<d")
STORED_AT_OFFSET = 52
# An answer without a key; no digest of a key is likely to be all zeros.
NO_NAME = bytes(16)


class Answer(NamedTuple):
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
        return HEADER.size + len(self.content)


class Bounds(NamedTuple):
    """How many answers a session keeps, how many bytes of them, and for how long."""

    answers: int = 8
    num_bytes: int = 65_536
    seconds: float = 86_400.0


def iterate(section: bytes, since: float) -> Iterator[Answer]:
    """Yield the answers of a section stored after an instant, oldest first."""
    position = 0
    while position < len(section):
        *fields, size = HEADER.unpack_from(section, position)
        position += HEADER.size + size
        if fields[-1] > since:
            yield Answer._make((*fields, section[position - size : position]))


def has_older(section: bytes, since: float) -> bool:
    """Return whether an answer of a section was not stored after an instant."""
    return any(one.stored_at <= since for one in iterate(section, float("-inf")))


def append_answer(
    section: bytes, answer: Answer, bounds: Bounds, since: float
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
        one for one in iterate(section, since) if not one.name == answer.name == NO_NAME
    ]
    kept.append(answer)
    while len(kept) > bounds.answers or sum(a.size for a in kept) > bounds.num_bytes:
        leaving = kept[0].name
        if kept[0] is answer or (leaving == answer.name != NO_NAME):
            return None
        same = leaving != NO_NAME
        kept = [a for a in kept[1:] if not (same and a.name == leaving)]
    return b"".join(
        HEADER.pack(*one[:-1], len(one.content)) + one.content for one in kept
    )


def prune(section: bytes, since: float) -> bytes:
    """Drop the answers not stored after an instant; cheap for a section without any."""
    if not section or STORED_AT.unpack_from(section, STORED_AT_OFFSET)[0] > since:
        return section
    return b"".join(
        HEADER.pack(*one[:-1], len(one.content)) + one.content
        for one in iterate(section, since)
    )


def keep_named(section: bytes) -> bytes:
    """Drop the answers without a key.

    They hold only for a session that stands where their row left it, and one that was
    rewound or replaced may stand at that step with another memory.
    """
    named = [one for one in iterate(section, float("-inf")) if one.name != NO_NAME]
    return b"".join(
        HEADER.pack(*one[:-1], len(one.content)) + one.content for one in named
    )
