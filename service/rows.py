"""Rows and outcomes: what dialects hand to the engine, and what it hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from service.errors import CarryoverError, EmptySequence, SequenceTooLong


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence to advance, and the memory it continues.

    Args:
        sequence: Encoded events, of shape (timesteps,) or (timesteps, columns).
        session: Id of the session that remembers it, if any.
        token: Sealed memory the client sent back, if any.
        seal_memory: Whether the client holds the memory: the outcome has a token.
        at: The step the client believes the session is at.
        start: Whether the session is to begin anew.
        end: Whether the session ends with this row.
        ttl_seconds: Idle lifetime asked for the session, or lifetime of the token.
    """

    sequence: np.ndarray
    session: str | None = None
    token: str | None = None
    seal_memory: bool = False
    at: int | None = None
    start: bool = False
    end: bool = False
    ttl_seconds: float | None = None


class Refused(NamedTuple):
    """A row a dialect could not read: why, and the session it was for, if known."""

    error: CarryoverError
    session: str | None = None


class Advanced(NamedTuple):
    """A row's outputs, of shape (timesteps, ...) each, and its memory as stored."""

    outputs: dict[str, np.ndarray]
    tensors: bytes


class Outcome(NamedTuple):
    """What became of a row.

    Attributes:
        outputs: By name, arrays of shape (timesteps, ...).
        is_continued: Whether the sequence had events before this row.
        step: How many events it has absorbed in all.
        expires_at: When its memory expires, in seconds since 1970, if it can.
        token: The sealed memory, where the client holds it.
    """

    outputs: dict[str, np.ndarray]
    is_continued: bool
    step: int
    expires_at: float | None = None
    token: str | None = None


Result = Outcome | CarryoverError


def check_length(sequence: Sequence[Any], max_events: int) -> None:
    """Refuse a row without events, or with more than the service accepts."""
    if not sequence:
        raise EmptySequence("sequence is empty; send at least one event.")
    if len(sequence) > max_events:
        raise SequenceTooLong(
            f"sequence has {len(sequence)} events; at most {max_events} are accepted "
            "in one row. Split it over several requests of one session.",
            max_events=max_events,
        )
