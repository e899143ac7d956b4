"""OpenVINO Model Server's stateful inputs, `sequence_id` and `sequence_control_input`.

The same session by other names: sequence 42 is session "42". Knows rows, no events.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Any

from msgspec import UNSET

from service.api.v1.schema import ObjectRow
from service.errors import InvalidRequest

SEQUENCE_START, SEQUENCE_END = 1, 2
MAX_SEQUENCE_ID = 2**64 - 1
NO_IDS: tuple[Any, ...] = (UNSET, 0, "", [0], [""])
# Ids the service chooses survive JavaScript, whose integers end here.
MAX_CHOSEN_ID = 2**53 - 1


def choose_id(row: ObjectRow, name: bytes) -> None:
    """Give a row that starts a sequence without an id the same id at each repeat.

    Args:
        row: The row; its sequence_id is set.
        name: What a repeat of the row has in common with it, and no other row.
    """
    begins = row.sequence_control_input in (SEQUENCE_START, [SEQUENCE_START])
    if begins and row.sequence_id in NO_IDS:
        number = int.from_bytes(blake2b(name, digest_size=16).digest())
        row.sequence_id = 1 + number % MAX_CHOSEN_ID


def read_sequence(row: ObjectRow) -> int | str:
    """Say a row's sequence in the words of sessions.

    Args:
        row: The row; its session, start and end are set.

    Returns:
        The sequence's id: as it came, or chosen here for one that starts without.

    Raises:
        InvalidRequest: The row has a session too, no id where it needs one, or one
            that no sequence can have.
    """
    if row.session is not UNSET:
        raise InvalidRequest(
            "the row has both session and sequence_id, which name the same thing; send "
            "one of them."
        )
    control = row.sequence_control_input
    flag = 0 if control is UNSET else only(control, "sequence_control_input")
    given = 0 if row.sequence_id is UNSET else only(row.sequence_id, "sequence_id")
    if not given and flag != SEQUENCE_START:
        raise InvalidRequest(
            "the row has no sequence_id, or 0; expected the id of its sequence, or "
            "sequence_control_input 1, which starts one under an id chosen here.",
            error="Sequence ID has not been provided in request inputs",
        )
    if isinstance(given, int) and given > MAX_SEQUENCE_ID:
        raise InvalidRequest(
            f"sequence_id has {given.bit_length()} bits; expected 1 to "
            f"{MAX_SEQUENCE_ID}, or text. Send a smaller number, or send it as text."
        )
    chosen: int | str = given or 1 + secrets.randbelow(MAX_CHOSEN_ID)
    row.session = str(chosen)
    row.start = row.start or flag == SEQUENCE_START
    row.end = row.end or flag == SEQUENCE_END
    return chosen


def only(value: Any, name: str) -> Any:
    """Take the one element of a tensor of shape [1], or a value that stands alone."""
    if not isinstance(value, list):
        return value
    if len(value) != 1:
        raise InvalidRequest(
            f"{name} has {len(value)} values; a row is part of one sequence. Send one."
        )
    return value[0]
