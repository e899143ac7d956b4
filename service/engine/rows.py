"""Rows and outcomes: what dialects hand to the engine, and what it hands back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from service.common.value import Value
from service.errors import CarryoverError

if TYPE_CHECKING:
    from service.registry.catalog import Model
    from service.sessions.state_export import MemoryDocument


# Shown of all timesteps even where only the last one's outputs are.
WHOLE = "surprise"


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
    """What became of a row.

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
