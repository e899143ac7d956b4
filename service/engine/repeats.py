"""Repeats: rows that were answered before, and the answers kept for them.

A row is recognised by its idempotency key, or, where it has none, by the step it says
the session is at; and by what its client sent, digested before any version encoded it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from service.engine.idempotency import FINGERPRINT_BYTES, digest_events, name_key
from service.engine.job import Call
from service.engine.result_codec import decode_outcome, encode_outcome
from service.engine.rows import Outcome, Row
from service.errors import AnswerTooLarge, IdempotencyMismatch
from service.registry.catalog import Catalog
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, Tombstone
from service.sessions.sections import (
    NO_NAME,
    AnswerBounds,
    StoredAnswer,
    append_answer,
    has_older,
    iterate_answers,
    prune,
)
from service.sessions.version_policy import find_version


class Repeats:
    """Answers repeated rows, and keeps the answers of those that may be repeated.

    Args:
        bounds: Of the answers that a session keeps.
        catalog: The served models, to find the version that gave an answer.
        clock: Seconds since 1970.
        is_clock_trusted: Whether the clock may be followed in what cannot be undone;
            asked where an answer looks too old to be kept.
    """

    def __init__(
        self,
        bounds: AnswerBounds,
        catalog: Catalog,
        clock: Callable[[], float],
        is_clock_trusted: Callable[[], bool],
    ) -> None:
        self._bounds = bounds
        self._catalog = catalog
        self._now = clock
        self._is_clock_trusted = is_clock_trusted

    def find(self, call: Call, row: Row, stored: StoredSession) -> Outcome | None:
        """Find the answer to a row that is a repeat, and the version that gave it."""
        if row.key is None and row.at is None:
            return None
        record = stored.record
        kept = record.answers if isinstance(record, Session | Tombstone) else b""
        since = self._find_oldest(kept, self._now())
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
        since = now - self._bounds.seconds
        if not answers or not has_older(answers, since) or self._is_clock_trusted():
            return since
        return float("-inf")

    def keep(
        self, call: Call, row: Row, kept: bytes, outcome: Outcome, now: float
    ) -> bytes:
        """Add a row's answer to those that are kept; see `keep_answer`."""
        return keep_answer(
            call,
            row,
            kept,
            outcome,
            now=now,
            since=self._find_oldest(kept, now),
            bounds=self._bounds,
        )


def find_answer(
    call: Call, row: Row, stored: StoredSession, since: float
) -> Outcome | None:
    """Find the answer a row has had already.

    Args:
        call: What the rows of the request share.
        row: The row.
        stored: What the store has for its session.
        since: Answers stored before this instant count no more.

    Returns:
        The answer as it was; None where the row is new.

    Raises:
        IdempotencyMismatch: Its key was used for another request.
    """
    record = stored.record
    if not isinstance(record, Session | Tombstone) or not record.answers:
        return None
    if row.key is not None:
        return find_by_key(call, row, record.answers, since)
    return find_by_step(call, row, record, since)


def find_by_key(call: Call, row: Row, answers: bytes, since: float) -> Outcome | None:
    """Find the answer stored under a row's key.

    Raises:
        IdempotencyMismatch: Another request to the session had the key.
    """
    name, former = name_key(row.key or ""), row.former_fingerprint
    named = [
        answer for answer in iterate_answers(answers, since) if answer.name == name
    ]
    if not all(
        answer.fingerprint == row.fingerprint or is_former(answer, former, call)
        for answer in named
    ):
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
    call: Call, row: Row, record: Session | Tombstone, since: float
) -> Outcome | None:
    """Find the answer that led from the row's step to where the session is now.

    The two may be the same step: a row at step 1 that reset its session to its one
    event left it at step 1.
    """
    for answer in iterate_answers(record.answers, since):
        steps = (answer.name, answer.at, answer.step)
        if steps != (NO_NAME, row.at, record.step):
            continue
        former = digest_row(call, row, row.sequence.tobytes())
        if answer.fingerprint == fingerprint_row(call, row) or is_former(
            answer, former, call
        ):
            return decode_outcome(answer.content)
    return None


def is_former(answer: StoredAnswer, former: bytes, call: Call) -> bool:
    """Return whether a release that digested encoded events stored a row's answer.

    Its digest counts only for the version that gave the answer: in another one the
    same numbers may be other events.
    """
    if answer.fingerprint != former:
        return False
    return decode_outcome(answer.content).version == call.model.manifest.version


def keep_answer(
    call: Call,
    row: Row,
    section: bytes,
    outcome: Outcome,
    *,
    now: float,
    since: float,
    bounds: AnswerBounds,
) -> bytes:
    """Add a row's answer to those of its session, where the row may be repeated.

    Answers stored before the instant `since` are dropped.

    Raises:
        AnswerTooLarge: It has a key, and there is no room for its answer.
    """
    if row.key is None and row.at is None:
        return prune(section, since)
    is_named = row.key is not None
    answer = StoredAnswer(
        name=name_key(row.key) if row.key is not None else NO_NAME,
        fingerprint=row.fingerprint if is_named else fingerprint_row(call, row),
        position=row.position,
        at=outcome.step - len(row.sequence) if row.at is None else row.at,
        step=outcome.step,
        stored_at=now,
        content=encode_outcome(outcome, is_last_only=row.is_last_only),
    )
    kept = append_answer(section, answer, bounds, since)
    if kept is not None:
        return kept
    if not is_named:
        return prune(section, since)
    raise too_large(answer.size, bounds)


def fingerprint_row(call: Call, row: Row) -> bytes:
    """Digest what a row without a key asks for, its session and step apart."""
    return digest_row(call, row, digest_events(row, call.model.manifest.input))


def digest_row(call: Call, row: Row, events: bytes) -> bytes:
    """Digest a row's options and its events."""
    options = (call.signature, row.is_last_only, row.start, row.end, row.ttl_seconds)
    digest = blake2b(repr(options).encode(), digest_size=FINGERPRINT_BYTES)
    digest.update(events)
    return digest.digest()


def too_large(size: int, bounds: AnswerBounds) -> AnswerTooLarge:
    """Return the error of a keyed row with an answer that cannot be repeated."""
    return AnswerTooLarge(
        f"the answer to this row takes {size} bytes; a session keeps {bounds.answers} "
        f"answers of {bounds.num_bytes} bytes in all, and those of one Idempotency-Key "
        'together. The row was not applied. Ask for "return": "last", send fewer '
        "events or fewer rows of this session, or leave the key out.",
        max_answers=bounds.answers,
        max_bytes=bounds.num_bytes,
    )
