"""Rows and outcomes: what dialects hand to the engine, and what it hands back.

Rows of different sessions advance together, in waves; rows of one session one after
another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from service.common.value import Value
from service.errors import CarryoverError, EarlierRowFailed, SessionContended

if TYPE_CHECKING:
    from service.registry.catalog import Model
    from service.sessions.state_export import MemoryDocument


# Shown of all timesteps even where only the last one's outputs are.
WHOLE = "surprise"
log = logging.getLogger(__name__)


class Row(Value, frozen=True, eq=False):
    """One sequence to advance, and the memory it continues.

    Args:
        sequence: Encoded events, of shape (timesteps,) or (timesteps, columns).
        session: Id of the session that remembers it, if any.
        token: Sealed memory the client sent back, if any.
        seal_memory: Whether the client holds the memory: the outcome has a token.
        at: The step the client believes the session is at.
        start: Whether the session is to begin again.
        end: Whether the session ends with this row.
        ttl_seconds: Idle lifetime asked for the session, or lifetime of the token.
        key: Idempotency key of the request, for a row of a session, if it has one.
        fingerprint: 16-byte digest of the request under that key, as it was sent.
        former_fingerprint: The same as releases digested it that took encoded events;
            compared with what they stored, never stored.
        position: Which row of the request it is.
        is_last_only: Whether outputs are wanted for the last timestep only; no others
            are kept.
        events: The events as the client wrote them, for a version of the model that
            takes others, and to recognise a repeat; None where they came as numbers.
        plain: Memory the client sent back in the open, if any.
        is_plain: Whether the client wants it so: the outcome has it, and no token.
        is_strict: Whether `start` alone begins the session: without it the session must
            be live, and with it a live one restarts.
    """

    sequence: np.ndarray
    session: str | None = None
    token: str | None = None
    seal_memory: bool = False
    at: int | None = None
    start: bool = False
    end: bool = False
    ttl_seconds: float | None = None
    key: str | None = None
    fingerprint: bytes = b""
    former_fingerprint: bytes = b""
    position: int = 0
    is_last_only: bool = False
    events: Sequence[Any] | None = None
    plain: MemoryDocument | None = None
    is_plain: bool = False
    is_strict: bool = False


class Refused(NamedTuple):
    """A row a dialect could not read: why, and the session it was for, if known."""

    error: CarryoverError
    session: str | None = None


class Advanced(Value, frozen=True, eq=False):
    """A row's outputs, of shape (timesteps, ...) each, and its memory as stored.

    Of a row of which the last timestep is wanted, most outputs have shape (1, ...).
    """

    outputs: dict[str, np.ndarray]
    tensors: bytes


class BatchOutputs(Mapping[str, np.ndarray]):
    """Outputs of one row of a batch of one timestep.

    Args:
        arrays: By name, the batch's arrays of shape (rows, 1, ...).
        index: Which row it is.
    """

    __slots__ = ("arrays", "index")

    def __init__(self, arrays: dict[str, np.ndarray], index: int) -> None:
        self.arrays = arrays
        self.index = index

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an output, of shape (1, ...)."""
        output: np.ndarray = self.arrays[name][self.index]
        return output

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


class Outcome(Value, frozen=True):
    """Result of a row that was applied.

    Args:
        outputs: By name, arrays of shape (timesteps, ...).
        is_continued: Whether the sequence had events before this row.
        step: How many events it has absorbed in all.
        expires_at: When its memory expires, in seconds since 1970, if it can.
        token: The sealed memory, where the client holds it.
        version: The model version that advanced it.
        migrated_from: The version that made its memory before, where another one has
            taken it over with this row.
        is_reset: Whether that memory was dropped, and the sequence restarted.
        is_replayed: Whether this is the stored answer to an earlier request.
        model: The model of `version`; None in an answer just read from a store.
        plain: The memory in the open, where the client holds it so.
        is_restarted: Whether the session was live and was restarted.
    """

    outputs: Mapping[str, np.ndarray]
    is_continued: bool
    step: int
    expires_at: float | None = None
    token: str | None = None
    version: int = 0
    migrated_from: int | None = None
    is_reset: bool = False
    is_replayed: bool = False
    model: Model | None = None
    plain: MemoryDocument | None = None
    is_restarted: bool = False


Result = Outcome | CarryoverError


def group_into_waves(rows: Sequence[Row | Refused]) -> Sequence[Sequence[int]]:
    """Sort rows into waves in which no session occurs twice; later rows wait."""
    if len(rows) == 1 or len({row.session for row in rows}) == len(rows):
        return [range(len(rows))]
    waves: list[list[int]] = []
    seen: dict[str, int] = {}
    for k, row in enumerate(rows):
        wave = 0
        if row.session is not None:
            wave = seen.get(row.session, 0)
            seen[row.session] = wave + 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(k)
    return waves


def find_failed(
    rows: Sequence[Row | Refused], results: Mapping[int, Result]
) -> set[str | None]:
    """Find the sessions of rows that failed."""
    return {
        rows[k].session
        for k, result in results.items()
        if isinstance(result, CarryoverError)
    }


def earlier_row_failed(session: str) -> CarryoverError:
    """Return the error of a row after a failed one: it would leave a gap."""
    return EarlierRowFailed(
        f"an earlier row of session {session!r} in this request failed, so this one "
        "was not applied. Fix that row, then send it and those after it again."
    )


def contention_error(row: Row, seconds: float) -> CarryoverError:
    """Return the error of a session that others kept changing."""
    name = "the token's sequence" if row.session is None else f"session {row.session!r}"
    return SessionContended(
        f"{name} was changed by other requests each time this one was "
        f"computed, for {seconds:g} s; nothing was stored. Send its "
        "events from one client at a time, then repeat the request."
    )


def log_defect(work: str) -> CarryoverError:
    """Log the exception being handled, and return what its rows answer.

    Args:
        work: What failed, for the log.
    """
    log.exception("%s failed; its rows answer 500, all others continue", work)
    return defect_error()


def defect_error() -> CarryoverError:
    """Return the error of a row that a defect of the service left without a result."""
    return CarryoverError(
        "the service failed in a way it should not have; the session is where it was "
        "or past the row: ask GET /v1/models/<model>/sessions/<id>."
    )
