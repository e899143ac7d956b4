"""JSON of a long answer, written piece by piece, so that other requests continue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from service.common.loop import take_break

JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
# Numbers that are written in less than a millisecond.
PIECE_NUMBERS = 16_384
# Elements of a list, such as the labels of a timestep.
PIECE_ELEMENTS = 256


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
