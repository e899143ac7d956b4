"""A damaged record is refused, spoils no other, and can be left behind."""

from __future__ import annotations

import pytest

from service.errors import CorruptRecord
from service.sessions.lifecycle import Sessions
from service.sessions.preconditions import StoredSession, check_preconditions
from service.sessions.record import SessionKey, Tombstone
from service.stores.base import Put, Store
from tests.fakes import FakeClock
from tests.service.memory.stored import KEY, OTHER, session_at, store_session


def damage(store: Store, key: SessionKey = KEY) -> None:
    [entry] = store.fetch([key.encode()])
    assert entry is not None
    value = entry.value[:-1] + bytes([entry.value[-1] ^ 1])
    assert store.commit([Put(key.encode(), entry.version, value, 1e12)]) == [True]


def test_corrupt_record_spoils_no_other(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    other = store_session(sessions, clock, OTHER)
    damage(store)

    corrupt, intact = sessions.load([KEY.encode(), OTHER.encode()])

    assert isinstance(corrupt.record, CorruptRecord)
    assert intact == StoredSession(1, other)


def test_corrupt_record_is_never_served(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    damage(store)
    [found] = sessions.load([KEY.encode()])

    with pytest.raises(CorruptRecord, match="checksum"):
        sessions.get(KEY)
    with pytest.raises(CorruptRecord, match="checksum"):
        check_preconditions(found, network=bytes(16), start=False, at=None)


def test_corrupt_record_restarts_on_request(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    damage(store)
    [found] = sessions.load([KEY.encode()])

    assert check_preconditions(found, network=bytes(16), start=True, at=0) is None
    assert sessions.save([(KEY.encode(), found, session_at(clock))]) == [True]

    assert sessions.get(KEY) == session_at(clock)


def test_corrupt_record_can_be_deleted(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    damage(store)

    assert sessions.delete(KEY) is None

    [found] = sessions.load([KEY.encode()])
    assert found == StoredSession(3, Tombstone("deleted", 0, clock()))
