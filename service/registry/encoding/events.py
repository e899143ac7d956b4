"""From the events of a row, as a client writes them, to the network's sequence.

One encoder per input schema; a test holds them equal to the parsing inside the
SavedModel's `serving_default`. Knows no HTTP and no memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from service.errors import InvalidEvent, UnknownEvent
from service.registry.encoding.fields import (
    CategoryReader,
    Reader,
    WithUnknown,
    check_length,
    describe,
    read_number,
    read_optional,
    read_time,
    suggest,
)
from service.registry.encoding.vectors import (
    NO_STATICS,
    SIZED,
    IndexEncoder,
    VectorEncoder,
    build_sized_reader,
)

# How many columns a field takes in the sequence.
COLUMNS = {"time": 2, "number": 1, "category": 1, "index": 1}


class Encoder(Protocol):
    """Turns the events of one row into what `advance` takes.

    Attributes:
        dtype: Type of the sequence.
        columns: Shape of one event in it: () or (columns,).
        max_events: Most events of one row.
        unknown: Position of the event that stands for names training has not seen;
            None where such a name is refused.
        statics: By name, a column of each field that only the first event needs.
    """

    dtype: type[np.generic]
    columns: tuple[int, ...]
    max_events: int
    unknown: int | None
    statics: Mapping[str, int]

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Return an array of shape (timesteps,) or (timesteps, columns)."""


def build_encoder(schema: dict[str, Any], *, max_events: int) -> Encoder:
    """Build the encoder of an input schema."""
    if schema["kind"] == "event":
        return EventEncoder(schema["vocabulary"], max_events, schema.get("unknown"))
    if schema["kind"] == "index":
        return IndexEncoder(schema["size"], max_events)
    if schema["kind"] == "vector":
        return VectorEncoder(
            schema["size"],
            max_events,
            schema.get("indices", 0),
            schema.get("boolean", False),
        )
    return RecordEncoder(schema["fields"], max_events)


class EventEncoder:
    """Event names to indices in the vocabulary: int32 of shape (timesteps,).

    Args:
        vocabulary: The names.
        max_events: Most events of one row.
        unknown: The one of them that stands for any other name, if there is one.
    """

    dtype: type[np.generic] = np.int32
    columns: tuple[int, ...] = ()
    statics: Mapping[str, int] = NO_STATICS

    def __init__(
        self, vocabulary: Sequence[str], max_events: int, unknown: str | None = None
    ) -> None:
        self.index = {name: k for k, name in enumerate(vocabulary)}
        self.max_events = max_events
        self.unknown: int | None = None
        # Most rows hold one event: their sequences are made once, and never changed.
        self._alone = {name: self._encode_alone(k) for name, k in self.index.items()}
        if unknown is not None:
            self.unknown = self.index[unknown]
            self.index = WithUnknown(self.index, self.unknown)
            self._alone = WithUnknown(self._alone, self._alone[unknown])

    def _encode_alone(self, index: int) -> np.ndarray:
        sequence = np.array([index], self.dtype)
        sequence.flags.writeable = False
        return sequence

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Look every name up.

        Raises:
            UnknownEvent: A name is not in the vocabulary.
            InvalidEvent: An event is not a string.
        """
        try:
            if len(sequence) == 1:
                return self._alone[sequence[0]]
            check_length(sequence, self.max_events)
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
                    + suggest(name, self.index),
                    position=k,
                )
        return InvalidEvent("sequence holds an event that cannot be read.")


def warn_of_unknown(
    encoder: Encoder, events: Sequence[Any], where: str = "sequence"
) -> str | None:
    """Say which event was taken as the unknown one, and how many more were.

    Args:
        encoder: That encoded them.
        events: As the client wrote them.
        where: What to call them.

    Returns:
        A sentence; None where all are known.
    """
    if isinstance(encoder, RecordEncoder):
        return warn_of_fields(encoder, events, where)
    if encoder.unknown is None or not isinstance(encoder, EventEncoder):
        return None
    return warn_of_names(encoder.index, encoder.unknown, events, where, "")


def warn_of_names(
    index: Mapping[str, int], unknown: int, names: Sequence[Any], where: str, field: str
) -> str | None:
    """Warn of names that an index does not contain."""
    # "" is padding.
    positions = [k for k, name in enumerate(names) if name and name not in index]
    if not positions:
        return None
    first, more = positions[0], len(positions) - 1
    taken = list(index)[unknown]
    return (
        f"{where}[{first}]{field} is {names[first][:80]!r}, which training has not "
        f"seen; it was taken as {taken!r}{f', as were {more} more' if more else ''}."
    )


def warn_of_fields(
    encoder: RecordEncoder, records: Sequence[Any], where: str
) -> str | None:
    """Warn of names that a field of a record does not contain, of each field once."""
    warnings = [
        warn_of_names(
            reader.index,
            reader.unknown,
            [record.get(name) for record in records if isinstance(record, dict)],
            where,
            f".{name}",
        )
        for name, reader in encoder.readers.items()
        if isinstance(reader, CategoryReader) and reader.unknown is not None
    ]
    return " ".join(filter(None, warnings)) or None


def build_reader(field: dict[str, Any]) -> Reader:
    """Build what reads one field of an input schema."""
    if field["type"] == "category":
        return CategoryReader(field["name"], field["vocabulary"], field.get("unknown"))
    if field.get("optional"):
        return read_optional
    if field["type"] in SIZED:
        return build_sized_reader(field)
    return {"time": read_time, "number": read_number}[field["type"]]


def count_columns(field: dict[str, Any]) -> int:
    """Count the columns of one field."""
    return field["size"] if field["type"] == "vector" else COLUMNS[field["type"]]


def find_statics(fields: Sequence[dict[str, Any]]) -> Mapping[str, int]:
    """Find the fields that only the first event needs, and a column of each."""
    statics, start = {}, 0
    for field in fields:
        if field.get("static"):
            statics[field["name"]] = start
        start += count_columns(field)
    return statics or NO_STATICS


class RecordEncoder:
    """Records to columns: float32 of shape (timesteps, columns).

    A time takes two columns, days since 1970-01-01 and seconds of the day, because
    seconds since 1970 do not fit a float32; a number takes one, a category the index
    of its name; an index is one itself, a vector has as many as numbers. A static
    field that an event leaves out is NaN: the network continues with its newest value.
    So is a number that may be missing.
    """

    dtype: type[np.generic] = np.float32

    def __init__(self, fields: Sequence[dict[str, Any]], max_events: int) -> None:
        self.readers = {field["name"]: build_reader(field) for field in fields}
        self.statics: Mapping[str, int] = find_statics(fields)
        self._left_out = {
            field["name"]: [math.nan] * count_columns(field)
            for field in fields
            if field["name"] in self.statics or field.get("optional")
        }
        self._required = self.readers.keys() - self._left_out.keys()
        unknown = [
            reader.unknown
            for reader in self.readers.values()
            if isinstance(reader, CategoryReader) and reader.unknown is not None
        ]
        self.unknown: int | None = next(iter(unknown), None)
        self.columns: tuple[int, ...] = (sum(count_columns(field) for field in fields),)
        self.max_events = max_events

    def encode(self, sequence: Sequence[Any]) -> np.ndarray:
        """Lay the fields of every record side by side.

        Raises:
            InvalidEvent: A record lacks a field, has another, or of a wrong type.
            NonFiniteInput: A number is NaN, infinite or beyond float32.
            UnknownEvent: A name is not in the vocabulary of its category.
        """
        check_length(sequence, self.max_events)
        rows = [self.encode_record(k, record) for k, record in enumerate(sequence)]
        return np.array(rows, self.dtype)

    def encode_record(self, position: int, record: Any) -> list[float]:
        """Read one record's fields in the schema's order."""
        where = f"sequence[{position}]"
        if not isinstance(record, dict) or record.keys() != self.readers.keys():
            return self.encode_partly(position, record)
        columns: list[float] = []
        for name, read in self.readers.items():
            columns += read(record[name], f"{where}.{name}", position)
        return columns

    def encode_partly(self, position: int, record: Any) -> list[float]:
        """Read a record that leaves static fields out.

        Raises:
            InvalidEvent: It is not a record, a field is unknown or missing, or a value
                is not the field's.
        """
        where = f"sequence[{position}]"
        is_record = isinstance(record, dict) and self._required <= record.keys()
        if not is_record or not record.keys() <= self.readers.keys():
            static = ", ".join(self.statics)
            others = ", ".join(self._left_out.keys() - self.statics.keys())
            later = (
                f"; {static} may be left out after the first event" if static else ""
            ) + (f"; {others} may be left out" if others else "")
            raise InvalidEvent(
                f"{where} is {describe(record)}; this model takes an object with "
                f"exactly the fields {', '.join(self.readers)}{later}.",
                position=position,
            )
        columns: list[float] = []
        for name, read in self.readers.items():
            columns += (
                read(record[name], f"{where}.{name}", position)
                if name in record
                else self._left_out[name]
            )
        return columns
