"""Idempotency: the key of a request, and the digest of its events as they were sent.

`Idempotency-Key` of draft-ietf-httpapi-idempotency-key-header-07: a structured-field
String, that is quoted; without quotes it is taken as well. A request's fingerprint
distinguishes a repeat from another request under the same key. A repeat that arrives
while the first still runs in this process is refused. Other processes do not know of
it: both compute, one commits, and the other finds its stored answer.

Two versions of a model may number the same names otherwise, so encoded events of one
version are other events in another. Names are digested as names.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np

from service.engine.rows import Refused, Row
from service.errors import InvalidRequest, RequestInProgress
from service.registry.encoding.events import count_columns

MAX_KEY_CHARACTERS = 255
FINGERPRINT_BYTES = 16
DIGEST_BYTES = 16
PERSON = b"events as sent"  # no digest of a former release begins so
# A String of RFC 8941: printable ASCII, quote and backslash escaped.
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
BARE = re.compile(r"[!#-+\--:<-~]+")  # without a space, a quote, a comma, a semicolon
ESCAPED = re.compile(r'\\(["\\])')
Name = tuple[str, str, str, str]


class Idempotency(NamedTuple):
    """Idempotency key of a request, and the digest of all it asks for."""

    key: str
    fingerprint: bytes


def parse_key(value: str) -> str:
    """Read the key as a header holds it.

    Raises:
        InvalidRequest: It is neither a String of structured fields nor a bare word.
    """
    text = value.strip()
    found = QUOTED.fullmatch(text)
    key = ESCAPED.sub(r"\1", found[1]) if found else text
    if not (found or BARE.fullmatch(text)) or len(key) > MAX_KEY_CHARACTERS:
        raise InvalidRequest(
            f"Idempotency-Key is {value[:80]!r}; expected a quoted string of 1 to "
            f"{MAX_KEY_CHARACTERS} printable ASCII characters, such as "
            '"8e03978e-40d5-43dd-bc93-6894a57f9324". Send a new UUID with each new '
            "request, and the same one with its repeats."
        )
    return key


def fingerprint_request(body: bytes, *scope: str) -> bytes:
    """Digest what a request asks for: the JSON, not how it was written.

    Args:
        body: The body; JSON with its keys in another order is the same request.
        *scope: What the address says: the call, the version it names.
    """
    digest = blake2b(digest_size=FINGERPRINT_BYTES)
    for part in scope:
        digest.update(part.encode() + b"\0")
    digest.update(canonical(body))
    return digest.digest()


def canonical(body: bytes) -> bytes:
    """Write JSON in one form; what has none (a number too large) is not changed."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return body


def name_key(key: str) -> bytes:
    """Digest a key, for storing it."""
    return blake2b(key.encode(), digest_size=FINGERPRINT_BYTES).digest()


def stamp(
    row: Row | Refused, position: int, idempotency: Idempotency | None
) -> Row | Refused:
    """Mark a row of a session with the request it belongs to."""
    if idempotency is None or isinstance(row, Refused) or row.session is None:
        return row
    key, fingerprint = idempotency
    return row.replace(key=key, fingerprint=fingerprint, position=position)


class InProgress:
    """The keys in use; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[Name] = set()

    @contextmanager
    def claim(
        self, tenant: str, model: str, rows: Sequence[Row | Refused]
    ) -> Iterator[Sequence[Row | Refused]]:
        """Hold the keys of rows for as long as the context lasts.

        Yields:
            The rows; those with a key that another request holds are refused.
        """
        own: set[Name] = set()
        try:
            with self._lock:
                accepted = [self._hold(tenant, model, row, own) for row in rows]
            yield accepted
        finally:
            with self._lock:
                self._names -= own

    def _hold(
        self, tenant: str, model: str, row: Row | Refused, own: set[Name]
    ) -> Row | Refused:
        if isinstance(row, Refused) or row.key is None or row.session is None:
            return row
        name = (tenant, model, row.session, row.key)
        if name in own:
            return row
        if name in self._names:
            return Refused(in_progress(row.key), row.session)
        own.add(name)
        self._names.add(name)
        return row


def in_progress(key: str) -> RequestInProgress:
    """Return the error of a repeat that came too early."""
    return RequestInProgress(
        f"a request with Idempotency-Key {key[:80]!r} is being worked on for this "
        "session. Wait for its answer, or repeat the request in a moment to get it."
    )


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
