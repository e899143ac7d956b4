"""Events as TensorFlow Serving's clients spell them, in the service's own words.

`{"b64": "..."}` is a string in base64; "" after the last event pads a row to the
length of others. Knows no vocabulary: only what failed to encode is looked at.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from service.common.loop import take_break
from service.errors import InvalidEvent

# Values that are looked at in a fraction of a millisecond.
PIECE_VALUES = 1024
CONTAINERS = frozenset((dict, list))


def normalize_events(sequence: list[Any]) -> list[Any] | None:
    """Rewrite a sequence that failed to encode; None if nothing can be normalized.

    Raises:
        InvalidEvent: A b64 value is not base64 of UTF-8 text.
    """
    end = len(sequence)
    while end and sequence[end - 1] == "":
        end -= 1
    try:
        normalized = decode(sequence[:end])
    except RecursionError:
        return None
    return normalized if normalized and normalized != sequence else None


def decode(value: Any) -> Any:
    """Decode b64 values wherever they stand in an event."""
    if isinstance(value, list):
        items: list[Any] = []
        for start in range(0, len(value), PIECE_VALUES):
            take_break()
            piece = value[start : start + PIECE_VALUES]
            # Texts and numbers have no b64 value in them: most lists are only those.
            has_containers = not CONTAINERS.isdisjoint(map(type, piece))
            items += map(decode, piece) if has_containers else piece
        return items
    if not isinstance(value, dict):
        return value
    if value.keys() == {"b64"}:
        return decode_base64(value["b64"])
    return {name: decode(item) for name, item in value.items()}


def decode_base64(text: Any) -> str:
    """Decode one base64 value, its padding there or not."""
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, validate=True).decode()
    except (AttributeError, binascii.Error, ValueError):
        raise InvalidEvent(
            "the sequence holds a b64 value that is not base64 of UTF-8 text; expected "
            'the text itself, or such as {"b64": "YmVhcg=="}.'
        ) from None
