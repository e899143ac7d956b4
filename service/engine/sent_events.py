"""A row's events as its client sent them, which is what a repeat is recognised by.

Two versions of a model may number the same names otherwise, so encoded events of one
version are other events in another. Names are digested as names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, overload

import msgspec
import numpy as np

from service.engine.rows import Row
from service.registry.encoding.events import count_columns

DIGEST_BYTES = 16
PERSON = b"events as sent"  # no digest of a former release begins so


class EventColumns(Sequence[dict[str, Any]]):
    """Records that came as columns: each is built when it is read.

    Args:
        columns: The values of each field, names or numbers, one for each event; of a
            static field there may be fewer.
        length: How many events there are.
    """

    def __init__(
        self, columns: Mapping[str, list[str] | np.ndarray], length: int
    ) -> None:
        self._columns = columns
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(at, slice):
            return [self[k] for k in range(*at.indices(self._length))]
        if not 0 <= at < self._length:
            raise IndexError(at)
        columns = self._columns.items()
        return {name: to_plain(v[at]) for name, v in columns if at < len(v)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[k] for k in range(self._length))


def to_plain(value: Any) -> Any:
    """Return a value as JSON would have given it."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def digest_events(row: Row, inputs: Mapping[str, Any]) -> bytes:
    """Digest a row's events as they were sent: names as names, numbers as numbers.

    Args:
        row: The row.
        inputs: The input schema of the version that encoded its events.
    """
    digest = blake2b(digest_size=DIGEST_BYTES, person=PERSON)
    if row.events is not None and inputs["kind"] == "event":
        digest.update(msgspec.json.encode(row.events))
    elif row.events is not None and inputs["kind"] == "record":
        for part in list_columns(row.events, row.sequence, inputs["fields"]):
            digest.update(part)
    else:
        digest.update(row.sequence.tobytes())
    return digest.digest()


def list_columns(
    events: Sequence[Any], sequence: np.ndarray, fields: Sequence[Mapping[str, Any]]
) -> list[bytes]:
    """Write the fields of records in the order of their names, however they are laid.

    Only categories have names that a version numbers; other fields are digested as the
    numbers they were read to, in whatever form they came.
    """
    parts, start = {}, 0
    has_names = any(field["type"] == "category" for field in fields)
    records = list(events) if has_names else []
    for field in fields:
        name, stop = field["name"], start + count_columns(dict(field))
        if field["type"] == "category":
            parts[name] = msgspec.json.encode([record[name] for record in records])
        else:
            parts[name] = sequence[:, start:stop].tobytes()
        start = stop
    return [msgspec.json.encode(name) + parts[name] for name in sorted(parts)]
