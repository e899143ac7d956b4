"""The life of a session over any store: found, advanced, ended, expired, forgotten.

It does not know what a step computes, or which store holds the bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from service.common.loop import take_break
from service.errors import CorruptRecord, SessionContended, SessionNotFound, StoreFull
from service.sessions.preconditions import StoredSession, session_gone_error
from service.sessions.record import (
    END_BYTES,
    Session,
    SessionKey,
    Tombstone,
    decode,
    encode,
)
from service.stores.base import Entry, Put, Store, Survey
from service.telemetry.engine_metrics import (
    SESSIONS_ENDED,
    SESSIONS_FORGOTTEN,
    SESSIONS_STARTED,
)
from service.telemetry.tallies import COMMIT, FETCH, FORGET, find_counter, measure

log = logging.getLogger(__name__)

NEVER_SEEN = StoredSession(0, None)
# A compare-and-set is lost only to a request that advanced, so this many losses in a
# row mean traffic that a delete or another change must not wait out.
MAX_CHANGE_ATTEMPTS = 16
# Entries that are listed in a few milliseconds.
PIECE_ENTRIES = 256


class ListedSession(NamedTuple):
    """A session that was come upon: its id and what is known of it."""

    session: str
    found: StoredSession


# A session's encoded key, how it was found, and what takes the place of that.
Write: TypeAlias = tuple[bytes, StoredSession, Session | Tombstone]
# What takes the place of what was found, at this instant.
Alteration: TypeAlias = Callable[[StoredSession, float], Session | Tombstone]


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

    def load(self, keys: Sequence[bytes]) -> list[StoredSession]:
        """Return what is known of each session; a corrupt one spoils no other.

        Args:
            keys: The sessions, as `SessionKey.encode` names them.
        """
        entries, now = self.fetch(keys)
        return [read_entry(entry, now) for entry in entries]

    def fetch(self, keys: Sequence[bytes]) -> tuple[list[Entry | None], float]:
        """Return what is stored of each session, for `read_entry`, and the present."""
        return measure(FETCH, "fetch", self._store.fetch, keys), self._clock()

    def save(self, writes: Sequence[Write]) -> Sequence[bool | StoreFull]:
        """Store each new record unless its session changed since it was found.

        Returns:
            For each write, whether it was stored; where not, load it again. Where the
            store begins no more sessions, the error in a new session's place: that
            costs the live ones of the batch nothing.

        Raises:
            ValueError: Two writes name the same session.
            StoreFull: There is no room for any of them; nothing was stored.
        """
        return self.save_encoded(self.encode(writes))

    def encode(self, writes: Sequence[Write]) -> list[Put]:
        """Return the changes that store new records, for `save_encoded`."""
        later = self._tombstone_seconds
        puts: list[Put] = []
        for key, found, record in writes:
            gone_at = record.expires_at if isinstance(record, Session) else record.at
            puts.append(Put(key, found.version, encode(record), gone_at + later))
        return puts

    def put(self, key: bytes, expected: int, value: bytes, gone_at: float) -> Put:
        """Return the change that stores an encoded record.

        Args:
            key: Of the session.
            expected: Version of what it replaces.
            value: The record.
            gone_at: When the session is gone, or went.
        """
        return Put(key, expected, value, gone_at + self._tombstone_seconds)

    def save_encoded(self, puts: Sequence[Put]) -> Sequence[bool | StoreFull]:
        """Store encoded records; see `save`."""
        try:
            return measure(COMMIT, "commit", self._store.commit, puts)
        except StoreFull as error:
            live = [put for put in puts if put.expected]
            if not live or len(live) == len(puts):
                raise
            stored = iter(measure(COMMIT, "commit", self._store.commit, live))
            return [next(stored) if put.expected else error for put in puts]

    def get(self, key: SessionKey) -> Session:
        """Return a live session.

        Raises:
            SessionNotFound: It is not known; it may have been forgotten.
            SessionGone: It expired, was ended or was deleted.
            CorruptRecord: It cannot be read.
        """
        return live(key, self.load([key.encode()])[0])

    def change(self, key: SessionKey, alter: Alteration) -> StoredSession:
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
        encoded = key.encode()
        for _ in range(MAX_CHANGE_ATTEMPTS):
            [found] = self.load([encoded])
            record = alter(found, self._clock())
            if self.save([(encoded, found, record)])[0]:
                count_change(key.model, found, record)
                return StoredSession(found.version + 1, record)
        raise SessionContended(
            f"session {key.session!r} changed {MAX_CHANGE_ATTEMPTS} times while this "
            "request was to change it; it is as the others left it. Stop sending it "
            "events and try again."
        )

    def scan(self, after: SessionKey, prefix: str, limit: int) -> list[ListedSession]:
        """Look at up to `limit` sessions, live or not, in the order of their ids.

        Args:
            after: Tenant, model, and the id after which to start; "" begins.
            prefix: What their ids begin with.
            limit: How many to look at, 1 or more; fewer are returned only at the end.
        """
        begin = after._replace(session="").encode()
        start, now = after.encode(), self._clock()
        listed: list[ListedSession] = []
        while len(listed) < limit:
            take_break()
            wanted = min(limit - len(listed), PIECE_ENTRIES)
            entries = self._store.scan(begin + prefix.encode(), start, wanted)
            for key, entry in entries:
                try:
                    session = key[len(begin) :].decode()
                except UnicodeDecodeError:
                    log.warning("a damaged key is not listed: %r", key)
                    continue
                listed.append(ListedSession(session, read_entry(entry, now)))
            if len(entries) < wanted:
                break
            start = entries[-1][0]
        return listed

    def delete(
        self,
        key: SessionKey,
        check: Callable[[StoredSession], None] = lambda found: None,
    ) -> Session | None:
        """Leave a tombstone in a session's place, even if its record is corrupt.

        Args:
            key: The session.
            check: Raises where the session must not be deleted as it was found.

        Returns:
            The session as it was; None if its record could not be read.

        Raises:
            SessionNotFound: It is not known; it may have been forgotten.
            SessionGone: It was gone already.
            SessionContended: It kept being advanced meanwhile.
        """
        deleted: list[Session | None] = []

        def alter(found: StoredSession, now: float) -> Tombstone:
            corrupt = isinstance(found.record, CorruptRecord)
            session = None if corrupt else live(key, found)
            check(found)
            deleted[:] = [session]
            return Tombstone("deleted", session.step if session else 0, now)

        self.change(key, alter)
        return deleted[0]

    def discard(self, key: bytes, found: StoredSession) -> bool:
        """Let the next sweep remove a record that belongs to no session.

        Returns:
            Whether it was as found.
        """
        now = self._clock()
        ended = Tombstone("deleted", 0, now)
        return (
            self.save_encoded([Put(key, found.version, encode(ended), now)])[0] is True
        )

    def sweep(self, limit: int) -> int:
        """Forget up to `limit` sessions with expired tombstones.

        Returns:
            How many were forgotten; fewer than `limit` means that none is left.
        """
        forget = partial(self._store.forget, self._clock())
        number = measure(FORGET, "forget", forget, limit)
        find_counter(SESSIONS_FORGOTTEN).number += number
        return number

    def survey(self, after: bytes, limit: int) -> Survey:
        """Return keys, and what `record.read_end` reads, of about `limit` entries."""
        return self._store.survey(after, limit, END_BYTES)

    def count(self) -> int:
        """Return how many records are stored, tombstones and chains included.

        Raises:
            StoreUnavailable: The store cannot be read now.
        """
        return self._store.count()

    def close(self) -> None:
        """Flush and release the store; closing twice is harmless."""
        self._store.close()


def count_change(model: str, found: StoredSession, record: Session | Tombstone) -> None:
    """Count a session that a change other than a step has begun or ended."""
    was_live, is_live = isinstance(found.record, Session), isinstance(record, Session)
    if was_live != is_live:
        counter = SESSIONS_STARTED if is_live else SESSIONS_ENDED
        find_counter(counter, model).number += 1


def read_entry(entry: Entry | None, now: float) -> StoredSession:
    """Return what is known of a session, given what is stored; None for nothing."""
    if entry is None:
        return NEVER_SEEN
    try:
        record = decode(entry.value)
    except CorruptRecord as error:
        return StoredSession(entry.version, error)
    if isinstance(record, Session) and now >= record.expires_at:
        record = Tombstone("expired", record.step, record.expires_at, record.answers)
    return StoredSession(entry.version, record)


def live(key: SessionKey, found: StoredSession) -> Session:
    """Return the live session that was found.

    Raises:
        SessionNotFound: It is not known; it may have been forgotten.
        SessionGone: It expired, was ended or was deleted.
        CorruptRecord: It cannot be read.
    """
    record = found.record
    if isinstance(record, Session):
        return record
    if isinstance(record, Tombstone):
        raise session_gone_error(record)
    if isinstance(record, CorruptRecord):
        raise record
    raise SessionNotFound(
        f"session {key.session!r} of model {key.model!r} is not known; expected the id "
        "of a session that was started. Send it an event to start it."
    )
