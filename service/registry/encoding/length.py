"""Length of a row: at least one event, at most those one row may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.errors import EmptySequence, SequenceTooLong


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
