"""The life of a session over any store: found, advanced, ended, expired, forgotten.

It does not know what a step computes, or which store holds the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from service.errors import (
    CorruptRecord,
    InvalidRequest,
    SessionContended,
    SessionNotFound,
    StoreFull,
)
from service.memory.admission import Found, admit, gone
from service.memory.record import Session, Tombstone, decode, encode
from service.memory.store import MAX_KEY_BYTES, Entry, Put, Store

__all__ = ["Found", "SessionKey", "Sessions", "admit", "check_session_id"]

# Leaves room for tenant and model in the 400 bytes of a store's key.
MAX_SESSION_BYTES = 200
# Control characters cannot stand in an address or a log; half a surrogate pair, which
# JSON may smuggle in as an escape, cannot be stored.
UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# A compare-and-set is lost only to a request that advanced, so this many losses in a
# row mean traffic that a delete or another change must not wait out.
MAX_CHANGE_ATTEMPTS = 16


def check_session_id(session: str) -> None:
    """Refuse ids that cannot be stored or written in an address.

    Raises:
        InvalidRequest: The id is empty, too long, or holds control characters or half
            a surrogate pair.
    """
    if found := UNUSABLE.search(session):
        raise InvalidRequest(
            f"the session id holds {found.group()!a}, which cannot be used; expected "
            "text without control characters or lone surrogates. Choose another id."
        )
    size = len(session.encode())
    if not 0 < size <= MAX_SESSION_BYTES:
        raise InvalidRequest(
            f"the session id has {size} bytes; expected 1 to {MAX_SESSION_BYTES} bytes "
            "of UTF-8. Choose another id."
        )


class SessionKey(NamedTuple):
    """Whose session, of which model, by which id."""

    tenant: str
    model: str
    session: str

    def encode(self) -> bytes:
        """Return the store's key: the three parts in UTF-8, parted by a zero byte.

        Raises:
            InvalidRequest: A part holds a zero byte or half a surrogate pair, or the
                whole is too long.
        """
        try:
            key = f"{self.tenant}\0{self.model}\0{self.session}".encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"the session id {self.session!r} is not valid Unicode; expected text "
                "without lone surrogates. Choose another id."
            ) from error
        if len(key) > MAX_KEY_BYTES or key.count(0) != 2:
            raise InvalidRequest(
                f"tenant, model and session id take {len(key)} bytes; expected at most "
                f"{MAX_KEY_BYTES}, none of them zero. Choose another session id."
            )
        return key


class Listed(NamedTuple):
    """A session that was come upon: its id and what is known of it."""

    session: str
    found: Found


# What takes the place of what was found, at this instant.
Alteration: TypeAlias = Callable[[Found, float], Session | Tombstone]


class Sessions:
    """The sessions in a store.

    Args:
        store: Where they are.
        clock: Returns the present in seconds since the epoch.
        tombstone_seconds: How long after its end a session is still known to have
            been; then its id is as good as never seen.
    """

    def __init__(
        self, store: Store, *, clock: Callable[[], float], tombstone_seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._tombstone_seconds = tombstone_seconds

    def load(self, keys: Sequence[SessionKey]) -> list[Found]:
        """Return what is known of each session; a corrupt one spoils no other."""
        return self._load(keys)[0]

    def _load(self, keys: Sequence[SessionKey]) -> tuple[list[Found], float]:
        """Return what is known of each session, and at which instant it was so."""
        if not keys:
            return (
                [],
                self._clock(),
            )  # rows without sessions do without a store, even one that fails
        entries = self._store.fetch([key.encode() for key in keys])
        now = self._clock()
        return [_read(entry, now) for entry in entries], now

    def save(
        self, writes: Sequence[tuple[SessionKey, Found, Session | Tombstone]]
    ) -> list[bool | StoreFull]:
        """Store each new record unless its session changed since it was found.

        Returns:
            For each write, whether it was stored; where not, load it again. Where the
            store begins no more sessions, the error in a new session's place: that
            costs the live ones of the batch nothing.

        Raises:
            ValueError: Two writes name the same session.
            StoreFull: There is no room for any of them; nothing was stored.
        """
        puts = [self._put(key, found, record) for key, found, record in writes]
        try:
            return [*self._store.commit(puts)]
        except StoreFull as error:
            live = [put for put in puts if put.expected]
            if not live or len(live) == len(puts):
                raise
            stored = iter(self._store.commit(live))
            return [next(stored) if put.expected else error for put in puts]

    def _put(self, key: SessionKey, found: Found, record: Session | Tombstone) -> Put:
        gone_at = record.expires_at if isinstance(record, Session) else record.at
        forget_at = gone_at + self._tombstone_seconds
        return Put(key.encode(), found.version, encode(record), forget_at)

    def get(self, key: SessionKey) -> Session:
        """Return a live session.

        Raises:
            SessionNotFound: It was never seen, or was gone too long ago to tell.
            SessionGone: It expired, was ended or was deleted.
            CorruptRecord: It cannot be read.
        """
        return live(key, self.load([key])[0])

    def change(self, key: SessionKey, alter: Alteration) -> Found:
        """Put another record in a session's place, as if no one else were at it.

        Args:
            key: The session.
            alter: Returns the record that takes the place of what it is shown, given
                the present; it is asked again whenever another request was faster.

        Returns:
            What is now stored.

        Raises:
            SessionContended: It kept being advanced meanwhile.
            CarryoverError: What `alter` raises; nothing was changed.
        """
        for _ in range(MAX_CHANGE_ATTEMPTS):
            [found], now = self._load([key])
            record = alter(found, now)
            if self.save([(key, found, record)])[0]:
                return Found(found.version + 1, record)
        raise SessionContended(
            f"session {key.session!r} changed {MAX_CHANGE_ATTEMPTS} times while this "
            "request was to change it; it is as the others left it. Stop sending it "
            "events and try again."
        )

    def scan(self, after: SessionKey, prefix: str, limit: int) -> list[Listed]:
        """Look at up to `limit` sessions, live or not, in the order of their ids.

        Args:
            after: Of whose tenant and model, and behind which id; "" begins.
            prefix: What their ids begin with.
            limit: How many to look at, 1 or more; fewer are returned only at the end.
        """
        begin = after._replace(session="").encode()
        entries = self._store.scan(begin + prefix.encode(), after.encode(), limit)
        now = self._clock()
        return [
            Listed(key[len(begin) :].decode(), _read(entry, now))
            for key, entry in entries
        ]

    def delete(
        self, key: SessionKey, check: Callable[[Found], None] = lambda found: None
    ) -> Session | None:
        """Leave a tombstone in a session's place, even if its record is corrupt.

        Args:
            key: The session.
            check: Raises where the session must not be deleted as it was found.

        Returns:
            The session as it was; None if its record could not be read.

        Raises:
            SessionNotFound: It was never seen, or was gone too long ago to tell.
            SessionGone: It was gone already.
            SessionContended: It kept being advanced meanwhile.
        """
        deleted: list[Session | None] = []

        def alter(found: Found, now: float) -> Tombstone:
            corrupt = isinstance(found.record, CorruptRecord)
            session = None if corrupt else live(key, found)
            check(found)
            deleted[:] = [session]
            return Tombstone("deleted", session.step if session else 0, now)

        self.change(key, alter)
        return deleted[0]

    def sweep(self, limit: int) -> int:
        """Forget up to `limit` sessions whose tombstones are old enough.

        Returns:
            How many were forgotten; fewer than `limit` means that none is left.
        """
        return self._store.forget(self._clock(), limit)

    def close(self) -> None:
        """Flush and release the store; closing twice is harmless."""
        self._store.close()


def _read(entry: Entry | None, now: float) -> Found:
    if entry is None:
        return Found(0, None)
    try:
        record = decode(entry.value)
    except CorruptRecord as error:
        return Found(entry.version, error)
    if isinstance(record, Session) and now >= record.expires_at:
        record = Tombstone("expired", record.step, record.expires_at, record.answers)
    return Found(entry.version, record)


def live(key: SessionKey, found: Found) -> Session:
    """Return the live session that was found.

    Raises:
        SessionNotFound: It was never seen, or was gone too long ago to tell.
        SessionGone: It expired, was ended or was deleted.
        CorruptRecord: It cannot be read.
    """
    record = found.record
    if isinstance(record, Session):
        return record
    if isinstance(record, Tombstone):
        raise gone(record)
    if isinstance(record, CorruptRecord):
        raise record
    raise SessionNotFound(
        f"session {key.session!r} of model {key.model!r} is not known; expected the id "
        "of a session that was started. Send it an event to start it."
    )
