"""Long JSON in pieces, so that other requests continue.

A list or an object costs hundreds of bytes and a third of a microsecond, in two bytes
of text. A million of them, decoded or freed at once, would stop the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from service.common.loop import LONG_LIST_BYTES, take_break

# Number decoded, and freed, in some milliseconds, however deep they lie.
MAX_AT_ONCE = 20_000
# Besides those of events and memory: the row itself, its options, a little nesting.
NUM_OTHERS = 1_000
STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
# Numbers that are written in less than a millisecond.
PIECE_NUMBERS = 16_384
# Elements of a list, such as the labels of a timestep.
PIECE_ELEMENTS = 256


def is_decoded_at_once(text: str) -> bool:
    """Return whether decoding the text as a whole stops the event loop only shortly."""
    return len(text) <= LONG_LIST_BYTES and count_containers(text, MAX_AT_ONCE) <= (
        MAX_AT_ONCE
    )


def count_containers(text: str, limit: int) -> int:
    """Count the lists and objects of JSON; up to the limit, an upper bound of them."""
    if len(text) <= limit:
        return 0
    number = count_brackets(text)
    if number > limit:
        for string in STRING.finditer(text):
            number -= count_brackets(string[0])
            take_break()
    return number


def count_brackets(text: str) -> int:
    """Count what opens a list or an object, within strings too."""
    return text.count("[") + text.count("{")


def write(value: Any) -> orjson.Fragment:
    """Write a value."""
    return orjson.Fragment(orjson.dumps(in_pieces(value), option=JSON_OPTIONS))


def in_pieces(value: Any) -> Any:
    """Return what orjson writes as the value; the long lists within are written now."""
    if isinstance(value, dict):
        return {name: in_pieces(part) for name, part in value.items()}
    if isinstance(value, np.ndarray) and value.size > PIECE_NUMBERS:
        return write_list(value, max(1, PIECE_NUMBERS * len(value) // value.size))
    if isinstance(value, list):
        if len(value) > PIECE_ELEMENTS:
            return write_list(value, PIECE_ELEMENTS)
        return [in_pieces(part) for part in value]
    return value


def write_list(values: Sequence[Any] | np.ndarray, length: int) -> orjson.Fragment:
    """Write a list in pieces of `length` elements."""
    pieces = []
    for start in range(0, len(values), length):
        piece = values[start : start + length]
        pieces.append(orjson.dumps(piece, option=JSON_OPTIONS)[1:-1])
        take_break()
    return orjson.Fragment(b"[" + b",".join(pieces) + b"]")
