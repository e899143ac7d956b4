"""From the events of a row, as a client writes them, to the network's sequence.

One encoder per input schema; a test holds them equal to the parsing inside the
SavedModel's `serving_default`. Knows no HTTP and no memory.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Protocol

import numpy as np

from service.errors import (
    EmptySequence,
    InvalidEvent,
    NonFiniteInput,
    SequenceTooLong,
    UnknownEvent,
)

EPOCH_DAY = date(1970, 1, 1).toordinal()
# How many columns a field takes in the sequence.
COLUMNS = {"time": 2, "number": 1}
# How many names an error message lists before it stops.
MAX_LISTED = 12
FLOAT32_MAX = float(np.finfo(np.float32).max)


class Encoder(Protocol):
    """Turns the events of one row into what `advance` takes.

    Attributes:
        dtype: Type of the sequence.
        columns: Shape of one event in it: () or (columns,).
    """

    dtype: type[np.generic]
    columns: tuple[int, ...]

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Return an array of shape (timesteps,) or (timesteps, columns)."""


def build_encoder(schema: dict[str, Any], *, max_events: int) -> Encoder:
    """Build the encoder of an input schema."""
    if schema["kind"] == "event":
        return EventEncoder(schema["vocabulary"], max_events)
    return RecordEncoder(schema["fields"], max_events)


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


class EventEncoder:
    """Event names to indices in the vocabulary: int32 of shape (timesteps,)."""

    dtype: type[np.generic] = np.int32
    columns: tuple[int, ...] = ()

    def __init__(self, vocabulary: Sequence[str], max_events: int) -> None:
        self.index = {name: k for k, name in enumerate(vocabulary)}
        self.max_events = max_events

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Look every name up.

        Raises:
            UnknownEvent: A name is not in the vocabulary.
            InvalidEvent: An event is not a string.
        """
        check_length(sequence, self.max_events)
        try:
            return np.array([self.index[name] for name in sequence], self.dtype)
        except (KeyError, TypeError):  # a TypeError: lists and dicts have no hash
            raise self.find_error(sequence) from None

    def find_error(self, sequence: Sequence[Any]) -> Exception:
        """Say which event was not found, and what it may have meant."""
        for k, name in enumerate(sequence):
            if not isinstance(name, str):
                return InvalidEvent(
                    f"sequence[{k}] is {describe(name)}; this model takes event names, "
                    f"such as {next(iter(self.index))!r}.",
                    position=k,
                )
            if name not in self.index:
                return UnknownEvent(
                    f"sequence[{k}] is {name[:80]!r}, which is no event of this model. "
                    + self.suggest(name),
                    position=k,
                )
        return InvalidEvent("sequence holds an event that cannot be read.")

    def suggest(self, name: str) -> str:
        """Name the closest events, or the first of the vocabulary."""
        close = difflib.get_close_matches(name[:80], list(self.index), n=3)
        if close:
            return f"Did you mean {' or '.join(map(repr, close))}?"
        names = list(self.index)
        more = ", ..." if len(names) > MAX_LISTED else ""
        return f"It knows {', '.join(names[:MAX_LISTED])}{more}."


class RecordEncoder:
    """Records to columns: float32 of shape (timesteps, columns).

    A time takes two columns, days since 1970-01-01 and seconds of the day, because
    seconds since 1970 do not fit a float32; a number takes one.
    """

    dtype: type[np.generic] = np.float32

    def __init__(self, fields: Sequence[dict[str, Any]], max_events: int) -> None:
        self.types = {field["name"]: field["type"] for field in fields}
        self.columns: tuple[int, ...] = (
            sum(COLUMNS[kind] for kind in self.types.values()),
        )
        self.max_events = max_events

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Lay the fields of every record side by side.

        Raises:
            InvalidEvent: A record lacks a field, has another, or of a wrong type.
            NonFiniteInput: A number is NaN, infinite or beyond float32.
        """
        check_length(sequence, self.max_events)
        rows = [self.encode_record(k, record) for k, record in enumerate(sequence)]
        return np.array(rows, self.dtype)

    def encode_record(self, position: int, record: Any) -> list[float]:
        """Read one record's fields in the schema's order."""
        where = f"sequence[{position}]"
        if not isinstance(record, dict) or record.keys() != self.types.keys():
            raise InvalidEvent(
                f"{where} is {describe(record)}; this model takes an object with "
                f"exactly the fields {', '.join(self.types)}.",
                position=position,
            )
        columns: list[float] = []
        for name, kind in self.types.items():
            at = f"{where}.{name}"
            if kind == "time":
                columns += read_time(record[name], at, position)
            else:
                columns.append(read_number(record[name], at, position))
        return columns


def read_time(value: Any, where: str, position: int) -> tuple[int, float]:
    """Read a wall-clock time as days since 1970-01-01 and seconds of the day."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidEvent(
            f"{where} is {describe(value)}; expected an ISO 8601 time, such as "
            "'2014-07-01T00:30:00'.",
            position=position,
        ) from None
    if time.tzinfo is not None:
        raise InvalidEvent(
            f"{where} is {value!r}, which has a UTC offset; this model was trained on "
            "wall-clock times. Send the local time without the offset.",
            position=position,
        )
    seconds = time.hour * 3600 + time.minute * 60 + time.second
    return time.toordinal() - EPOCH_DAY, seconds + time.microsecond / 1e6


def read_number(value: Any, where: str, position: int) -> float:
    """Read a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidEvent(
            f"{where} is {describe(value)}; expected a number.", position=position
        )
    if not abs(value) <= FLOAT32_MAX:  # false for NaN, infinities and huge integers
        raise NonFiniteInput(
            f"{where} is {describe(value)}; expected a finite number that fits a "
            "32-bit float.",
            position=position,
        )
    return float(value)


def describe(value: Any) -> str:
    """Show a received value briefly: its text, or what kind of thing it is."""
    if isinstance(value, dict):
        names = [str(name)[:40] for name in list(value)[:MAX_LISTED]]
        return f"an object with the fields {', '.join(names) or '(none)'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) > FLOAT32_MAX:
        return "a huge integer"  # its digits may run to thousands
    return repr(value)[:80]
