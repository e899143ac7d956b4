"""Repeats: rows that were answered before, and the answers kept for them.

A row is known again by its idempotency key, or, where it has none, by the step it
says the session is at. Knows the stored form of an answer; neither HTTP nor stores.
"""

from __future__ import annotations

from hashlib import blake2b

from service.errors import AnswerTooLarge, IdempotencyMismatch
from service.idempotency import FINGERPRINT_BYTES, name_key
from service.memory.admission import Found
from service.memory.answers import (
    NO_NAME,
    Answer,
    Bounds,
    append_answer,
    iterate,
    prune,
)
from service.memory.record import Session, Tombstone
from service.rows import Outcome, Row
from service.runtime import Signature
from service.stored_outcome import decode_outcome, encode_outcome


def find_answer(
    row: Row, signature: Signature, found: Found, since: float
) -> Outcome | None:
    """Find the answer a row has had already.

    Args:
        row: The row.
        signature: What it asks of the network.
        found: What the store holds for its session.
        since: Answers stored before this instant count no more.

    Returns:
        The answer as it was; None where the row is new.

    Raises:
        IdempotencyMismatch: Its key was used for another request.
    """
    record = found.record
    if not isinstance(record, Session | Tombstone) or not record.answers:
        return None
    if row.key is not None:
        return find_by_key(row, record.answers, since)
    if row.at is not None and row.at != record.step:
        return find_by_step(row, signature, record, since)
    return None


def find_by_key(row: Row, answers: bytes, since: float) -> Outcome | None:
    """Find the answer stored under a row's key."""
    name = name_key(row.key or "")
    named = [answer for answer in iterate(answers, since) if answer.name == name]
    if any(answer.fingerprint != row.fingerprint for answer in named):
        raise IdempotencyMismatch(
            f"Idempotency-Key {(row.key or '')[:80]!r} was used for another request to "
            f"session {row.session!r}; nothing was applied. Send a new key with a new "
            "request, and repeat a request as it was."
        )
    for answer in named:
        if answer.position == row.position:
            return decode_outcome(answer.content)
    return None


def find_by_step(
    row: Row, signature: Signature, record: Session | Tombstone, since: float
) -> Outcome | None:
    """Find the answer that led from the row's step to where the session is now."""
    fingerprint = fingerprint_row(row, signature)
    for answer in iterate(record.answers, since):
        stands_there = answer.name == NO_NAME and answer.step == record.step
        if stands_there and (answer.at, answer.fingerprint) == (row.at, fingerprint):
            return decode_outcome(answer.content)
    return None


def keep_answer(
    row: Row,
    signature: Signature,
    section: bytes,
    outcome: Outcome,
    *,
    now: float,
    bounds: Bounds,
) -> bytes:
    """Add a row's answer to those of its session, where the row may be repeated.

    Raises:
        AnswerTooLarge: It has a key, and there is no room for its answer.
    """
    if row.key is None and row.at is None:
        return prune(section, now - bounds.seconds)
    is_named = row.key is not None
    answer = Answer(
        name=name_key(row.key) if row.key is not None else NO_NAME,
        fingerprint=row.fingerprint if is_named else fingerprint_row(row, signature),
        position=row.position,
        at=outcome.step - len(row.sequence),
        step=outcome.step,
        stored_at=now,
        content=encode_outcome(outcome, is_last_only=row.is_last_only),
    )
    kept = append_answer(section, answer, bounds)
    if kept is not None:
        return kept
    if not is_named:
        return prune(section, now - bounds.seconds)
    raise too_large(answer.size, bounds)


def fingerprint_row(row: Row, signature: Signature) -> bytes:
    """Digest what a row without a key asks for, its session and step apart."""
    options = (signature, row.is_last_only, row.start, row.end, row.ttl_seconds)
    digest = blake2b(repr(options).encode(), digest_size=FINGERPRINT_BYTES)
    digest.update(row.sequence.tobytes())
    return digest.digest()


def too_large(size: int, bounds: Bounds) -> AnswerTooLarge:
    """Return the error of a keyed row whose answer could not be repeated."""
    return AnswerTooLarge(
        f"the answer to this row takes {size} bytes; a session keeps {bounds.answers} "
        f"answers of {bounds.num_bytes} bytes in all, and those of one Idempotency-Key "
        'together. The row was not applied. Ask for "return": "last", send fewer '
        "events or fewer rows of this session, or leave the key out.",
        max_answers=bounds.answers,
        max_bytes=bounds.num_bytes,
    )
