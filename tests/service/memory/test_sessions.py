"""The life of a session, over every store."""

from __future__ import annotations

import pytest

from service.errors import (
    SessionContended,
    SessionGone,
    SessionNotFound,
)
from service.sessions.lifecycle import (
    MAX_CHANGE_ATTEMPTS,
    Sessions,
)
from service.sessions.preconditions import StoredSession, check_preconditions
from service.sessions.record import Tombstone
from service.stores.base import Entry, Put, Store
from tests.assembly import build_sessions
from tests.fakes import FakeClock
from tests.service.memory.stored import (
    IDLE_SECONDS,
    KEY,
    OTHER,
    session_at,
    store_session,
)

TOMBSTONE_SECONDS = 600.0
# The next instant that a float distinguishes from the present is 0.2 microseconds on.
INSTANT = 2.0**-20


def test_session_never_seen_is_not_found(sessions: Sessions) -> None:
    assert sessions.load([KEY.encode()]) == [StoredSession(0, None)]
    with pytest.raises(SessionNotFound, match="ticket-42"):
        sessions.get(KEY)


def test_saved_session_is_found(sessions: Sessions, clock: FakeClock) -> None:
    session = store_session(sessions, clock)

    found = sessions.load([OTHER.encode(), KEY.encode()])
    assert found == [StoredSession(0, None), StoredSession(1, session)]
    assert sessions.get(KEY) == session


def test_second_of_two_saves_from_the_same_memory_is_refused(
    sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    [found] = sessions.load([KEY.encode()])

    assert sessions.save([(KEY.encode(), found, session_at(clock, 2))]) == [True]
    assert sessions.save([(KEY.encode(), found, session_at(clock, 3))]) == [False]

    assert sessions.get(KEY).step == 2


def test_session_lives_until_one_instant_before_it_expires(
    sessions: Sessions, clock: FakeClock
) -> None:
    session = store_session(sessions, clock)

    clock.advance(IDLE_SECONDS - INSTANT)
    assert sessions.get(KEY) == session

    clock.advance(INSTANT)
    expired = Tombstone("expired", 1, session.expires_at)
    assert sessions.load([KEY.encode()]) == [StoredSession(1, expired)]
    with pytest.raises(SessionGone) as caught:
        sessions.get(KEY)
    assert caught.value.members == {
        "reason": "expired",
        "step": 1,
        "at": "2096-10-02T07:07:40.000Z",
    }


def test_step_postpones_expiry(sessions: Sessions, clock: FakeClock) -> None:
    for _ in range(5):
        store_session(sessions, clock)
        clock.advance(IDLE_SECONDS - 1)

    assert sessions.sweep(10) == 0
    assert sessions.get(KEY).step == 1


def test_gone_session_is_known_until_its_tombstone_is_swept(
    sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)

    clock.advance(IDLE_SECONDS + TOMBSTONE_SECONDS - INSTANT)
    assert sessions.sweep(10) == 0
    with pytest.raises(SessionGone):
        sessions.get(KEY)

    clock.advance(INSTANT)
    assert sessions.sweep(10) == 1
    with pytest.raises(SessionNotFound):
        sessions.get(KEY)


@pytest.mark.parametrize("reason", ["ended", "deleted", "expired"])
def test_gone_session_restarts_only_on_request(
    sessions: Sessions, clock: FakeClock, reason: str
) -> None:
    store_session(sessions, clock)
    [found] = sessions.load([KEY.encode()])
    sessions.save([(KEY.encode(), found, Tombstone(reason, 1, clock()))])
    [found] = sessions.load([KEY.encode()])

    with pytest.raises(SessionGone, match=f"{reason} at 2096-10-02"):
        check_preconditions(found, network=bytes(16), start=False, at=None)
    assert check_preconditions(found, network=bytes(16), start=True, at=None) is None
    assert sessions.save([(KEY.encode(), found, session_at(clock))]) == [True]

    assert sessions.get(KEY).step == 1


def test_deleted_session_is_returned_and_gone(
    sessions: Sessions, clock: FakeClock
) -> None:
    session = store_session(sessions, clock)
    clock.advance(1.5)

    assert sessions.delete(KEY) == session

    assert sessions.load([KEY.encode()]) == [
        StoredSession(2, Tombstone("deleted", 1, clock()))
    ]
    with pytest.raises(SessionGone, match="deleted"):
        sessions.delete(KEY)


def test_session_never_seen_cannot_be_deleted(sessions: Sessions) -> None:
    with pytest.raises(SessionNotFound):
        sessions.delete(KEY)


class RacingStore:
    """A store in which another request advances the session before each commit."""

    def __init__(self, store: Store, clock: FakeClock, races: int) -> None:
        self._store = store
        self._rival = build_sessions(store, clock, 1.0)
        self._clock = clock
        self._races = races

    def fetch(self, keys: list[bytes]) -> list[Entry | None]:
        return self._store.fetch(keys)

    def commit(self, puts: list[Put]) -> list[bool]:
        if self._races:
            self._races -= 1
            store_session(self._rival, self._clock)
        return self._store.commit(puts)


def test_delete_wins_over_requests_that_advance_meanwhile(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    racing = RacingStore(store, clock, races=MAX_CHANGE_ATTEMPTS - 1)

    build_sessions(racing, clock, 1.0).delete(KEY)

    with pytest.raises(SessionGone):
        sessions.get(KEY)


def test_delete_gives_up_against_endless_traffic(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    store_session(sessions, clock)
    racing = RacingStore(store, clock, races=1_000)

    with pytest.raises(SessionContended, match="as the others left it"):
        build_sessions(racing, clock, 1.0).delete(KEY)

    assert sessions.get(KEY).step == 1
