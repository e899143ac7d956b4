"""Damage in a store costs the session it hits, in every store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.api.sessions.listing import list_page
from service.errors import CorruptRecord
from service.sessions.lifecycle import Sessions
from service.sessions.preconditions import check_preconditions
from service.sessions.record import SessionKey, Tombstone
from service.stores.base import UNLIMITED, Entry, Put, Store
from service.stores.redis.layout import NUM_BUCKETS
from service.stores.redis.store import RedisStore
from tests.fakes import FakeClock
from tests.service.memory.conftest import SERVERS
from tests.service.memory.raw import DAMAGES, ask_redis, damage_entry
from tests.service.memory.stored import KEY, OTHER, session_at, store_session

LATER = 4_000_000_000.0


@pytest.fixture(params=DAMAGES)
def damaged(
    request: pytest.FixtureRequest, store: Store, sessions: Sessions, clock: FakeClock
) -> Store:
    """A store with one whole session, and one that is damaged."""
    store_session(sessions, clock)
    store_session(sessions, clock, OTHER)
    if not damage_entry(store, KEY.encode(), request.param):
        pytest.skip("this store cannot be damaged so")
    return store


@pytest.mark.usefixtures("damaged")
def test_damaged_value_spoils_no_other(sessions: Sessions, clock: FakeClock) -> None:
    bad, good = sessions.load([KEY.encode(), OTHER.encode()])

    assert isinstance(bad.record, CorruptRecord)
    assert good.record == session_at(clock)
    both = [(OTHER.encode(), good, session_at(clock, 2))]
    assert sessions.save(both) == [True]


@pytest.mark.usefixtures("damaged")
def test_damaged_value_is_listed_with_its_problem(sessions: Sessions) -> None:
    page = list_page(sessions, KEY.tenant, KEY.model, limit=10)

    bad, good = page.sessions
    assert (bad["session"], bad["problem"]["code"]) == (KEY.session, "corrupt_record")
    assert (good["session"], good["step"]) == (OTHER.session, 1)
    assert page.after is None


@pytest.mark.usefixtures("damaged")
def test_damaged_value_can_be_deleted(sessions: Sessions, clock: FakeClock) -> None:
    assert sessions.delete(KEY) is None

    [found] = sessions.load([KEY.encode()])
    assert found.record == Tombstone("deleted", 0, clock())


@pytest.mark.usefixtures("damaged")
def test_damaged_value_can_be_replaced(sessions: Sessions, clock: FakeClock) -> None:
    [found] = sessions.load([KEY.encode()])
    assert check_preconditions(found, network=bytes(16), start=True, at=0) is None

    assert sessions.save([(KEY.encode(), found, session_at(clock))]) == [True]

    assert sessions.get(KEY) == session_at(clock)
    assert sessions.save([(KEY.encode(), found, session_at(clock))]) == [False]


def test_damaged_value_does_not_stop_the_sweep(
    damaged: Store, sessions: Sessions, clock: FakeClock
) -> None:
    clock.advance(1e9)

    assert sessions.sweep(10) == 2

    assert damaged.count() == 0
    assert damaged.scan(b"", b"", 10) == []


def test_id_that_is_no_text_does_not_stop_the_listing(
    store: Store, sessions: Sessions, clock: FakeClock
) -> None:
    begin = SessionKey(KEY.tenant, KEY.model, "").encode()
    names = [begin + b"\x80\xff%d" % i for i in range(5)]
    store.commit([Put(name, 0, b"x", LATER + 60) for name in names])
    last = KEY._replace(session="\U0001f43b")  # after them in byte order
    store_session(sessions, clock)
    store_session(sessions, clock, last)

    listed = sessions.scan(KEY._replace(session=""), "", 2)

    assert [one.session for one in listed] == [KEY.session, last.session]


@pytest.fixture(params=SERVERS)
def redis_store(
    request: pytest.FixtureRequest, open_kind: Callable[..., Store]
) -> RedisStore:
    opened = open_kind(request.param, UNLIMITED)
    assert isinstance(opened, RedisStore)
    opened.commit([Put(key, 0, b"1", LATER) for key in (b"a", b"b", b"c")])
    return opened


@pytest.mark.parametrize("index", [1, 2], ids=["keys", "due"])
@pytest.mark.parametrize("is_replaced", [True, False], ids=["another type", "lost"])
def test_damaged_index_costs_its_bucket_until_the_next_step(
    redis_store: RedisStore, index: int, is_replaced: bool
) -> None:
    layout = redis_store.layout
    name = layout.name_in(layout.find_bucket(b"b"), b"b")[index]
    ask_redis(redis_store, "DEL", name)
    if is_replaced:
        ask_redis(redis_store, "SET", name, b"no sorted set")

    assert redis_store.fetch([b"a", b"b"]) == [Entry(1, b"1")] * 2
    assert {key for key, _ in redis_store.scan(b"", b"", 9)} >= {b"a", b"c"}
    assert redis_store.count() >= 2
    assert redis_store.forget(1.0, 10) == 0
    assert redis_store.commit([Put(b"b", 1, b"2", LATER)]) == [True]

    assert [key for key, _ in redis_store.scan(b"", b"", 9)] == [b"a", b"b", b"c"]
    assert redis_store.count() == 3
    assert redis_store.forget(LATER, 10) == 3


def test_index_with_a_foreign_name_does_not_hold_the_sweep(
    redis_store: RedisStore,
) -> None:
    for due in redis_store.layout.due:
        ask_redis(redis_store, "ZADD", due, 1.0, b"\xffnobody")

    assert redis_store.forget(2.0, 1_000) == NUM_BUCKETS

    assert redis_store.forget(2.0, 1_000) == 0
    assert redis_store.count() == 3
