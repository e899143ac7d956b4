"""Events without names to the network's sequence: whole numbers, and lists of numbers.

What models built elsewhere take (`models.ports`). Knows no HTTP and no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

from service.errors import InvalidEvent, UnknownEvent
from service.registry.encoding.fields import (
    FLOAT32_BOUND,
    Reader,
    check_length,
    describe,
    read_number,
)

NO_STATICS: Mapping[str, int] = MappingProxyType({})


class IndexEncoder:
    """Whole numbers as they are: int32 of shape (timesteps,).

    Args:
        size: How many there are; the events are 0 to size - 1.
        max_events: Most events of one row.
    """

    dtype: type[np.generic] = np.int32
    unknown: int | None = None
    columns: tuple[int, ...] = ()
    statics: Mapping[str, int] = NO_STATICS

    def __init__(self, size: int, max_events: int) -> None:
        self.size = size
        self.max_events = max_events

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Check every number.

        Raises:
            InvalidEvent: An event is not a whole number.
            UnknownEvent: It is not among the model's.
        """
        check_length(sequence, self.max_events)
        indices = [
            read_index(event, f"sequence[{k}]", k, self.size)[0]
            for k, event in enumerate(sequence)
        ]
        return np.array(indices, self.dtype)


class VectorEncoder:
    """Lists of numbers as they are: float32 of shape (timesteps, size).

    Args:
        size: Numbers of an event; where it is 1, a number may stand without its list.
        max_events: Most events of one row.
        indices: Where it is not 0, the numbers are whole ones below it.
        boolean: Whether true and false may stand for 1 and 0.
    """

    dtype: type[np.generic] = np.float32
    unknown: int | None = None
    statics: Mapping[str, int] = NO_STATICS

    def __init__(
        self, size: int, max_events: int, indices: int = 0, boolean: bool = False
    ) -> None:
        self.size = size
        self.columns: tuple[int, ...] = (size,)
        self.max_events = max_events
        self.indices = indices
        self.boolean = boolean
        self.kinds = {int, float, bool} if boolean else {int, float}

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Lay the lists one below the other.

        Raises:
            InvalidEvent: An event is not a list of the expected length.
            NonFiniteInput: A number is NaN, infinite or beyond float32.
        """
        check_length(sequence, self.max_events)
        if self.size == 1:
            sequence = [e if isinstance(e, list) else [e] for e in sequence]
        whole = (
            None if self.indices else encode_at_once(sequence, self.size, self.kinds)
        )
        if whole is not None:
            return whole.astype(self.dtype)
        rows = [
            read_vector(
                event, f"sequence[{k}]", k, self.size, self.indices, self.boolean
            )
            for k, event in enumerate(sequence)
        ]
        return np.array(rows, self.dtype)


def encode_at_once(
    sequence: Sequence[Any], size: int, kinds: set[type]
) -> np.ndarray | None:
    """Encode lists without a Python step per number; None if anything is amiss."""
    if set(map(type, sequence)) != {list} or set(map(len, sequence)) != {size}:
        return None
    if not set(map(type, chain.from_iterable(sequence))) <= kinds:
        return None
    try:
        whole = np.array(sequence, np.float64)
    except OverflowError:
        return None
    # False for NaN as well.
    return whole if (np.abs(whole) < FLOAT32_BOUND).all() else None


def read_vector(
    value: Any,
    where: str,
    position: int,
    size: int,
    indices: int = 0,
    boolean: bool = False,
) -> tuple[float, ...]:
    """Read a list of numbers, or a number where a list would have one.

    Args:
        value: What a client sent.
        where: Its place in the request.
        position: Of the event.
        size: Numbers of the list.
        indices: Where it is not 0, the numbers are whole ones below it.
        boolean: Whether true and false may stand for 1 and 0.

    Raises:
        InvalidEvent: It is not such a list, or has something else than numbers.
        UnknownEvent: An index is not below `indices`.
        NonFiniteInput: A number is not finite in 32 bits.
    """
    read: Reader = read_boolean if boolean else read_number
    if indices:
        read = partial(read_whole, size=indices)
    if size == 1 and not isinstance(value, list):
        return read(value, where, position)
    if not isinstance(value, list) or len(value) != size:
        raise InvalidEvent(
            f"{where} is {describe(value)}; this model takes a list of {size} "
            f"number{'s' if size > 1 else ''} there.",
            position=position,
        )
    parts = (read(x, f"{where}[{k}]", position) for k, x in enumerate(value))
    return tuple(chain.from_iterable(parts))


def read_boolean(value: Any, where: str, position: int) -> tuple[float, ...]:
    """Read true or false as 1 or 0, or a number.

    Raises:
        InvalidEvent: It is something else.
        NonFiniteInput: A number is not finite in 32 bits.
    """
    if isinstance(value, bool):
        return (float(value),)
    if not isinstance(value, int | float):
        raise InvalidEvent(
            f"{where} is {describe(value)}; expected true, false or a number.",
            position=position,
        )
    return read_number(value, where, position)


def read_whole(value: Any, where: str, position: int, size: int) -> tuple[float, ...]:
    """Read a whole number from 0 to size - 1, also one written as 3.0."""
    is_whole = isinstance(value, float) and value.is_integer()
    return read_index(int(value) if is_whole else value, where, position, size)


def read_index(value: Any, where: str, position: int, size: int) -> tuple[float, ...]:
    """Read a whole number from 0 to size - 1.

    Raises:
        InvalidEvent: It is not a whole number.
        UnknownEvent: It is outside 0 to size - 1.
    """
    expected = f"this model takes whole numbers, 0 to {size - 1}, there."
    sentence = f"{where} is {describe(value)}; {expected}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidEvent(sentence, position=position)
    if not 0 <= value < size:
        raise UnknownEvent(sentence, position=position)
    return (value,)


# What a field says of its values.
SIZES = ("size", "indices", "boolean")
# What reads a field that says its size.
SIZED: dict[str, Callable[..., tuple[float, ...]]] = {
    "vector": read_vector,
    "index": read_index,
}


def build_sized_reader(field: dict[str, Any]) -> Reader:
    """Build what reads a field of a record that is a vector or an index."""
    sizes = {key: field[key] for key in SIZES if field.get(key)}
    if field["type"] == "index" and field.get("static"):
        return partial(read_static_index, **sizes)
    return partial(SIZED[field["type"]], **sizes)


def read_static_index(
    value: Any, where: str, position: int, size: int
) -> tuple[float, ...]:
    """Read a whole number, or a list of the one, as the input of the model has it."""
    is_list = isinstance(value, list) and len(value) == 1
    return read_index(value[0] if is_list else value, where, position, size)
