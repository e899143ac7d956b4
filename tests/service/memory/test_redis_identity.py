"""Redis store alone: a server that was emptied or replaced is noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from service.errors import StoreUnavailable
from service.stores.base import Entry, Put
from service.stores.redis.address import parse_address
from service.stores.redis.keyspace import CHECK_SECONDS
from service.stores.redis.store import RedisStore
from service.stores.schemes import open_store
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer
from tests.service.memory import lone_redis
from tests.service.memory.lone_redis import LATER

pytestmark = pytest.mark.redis

server = pytest.fixture(lone_redis.server)
store = pytest.fixture(lone_redis.store)


def empty(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as admin:
        admin.flushall()


def test_emptied_server_begins_no_session_again(
    server: RedisServer, store: RedisStore
) -> None:
    store.commit([Put(b"a", 0, b"1", LATER)])
    other = open_store(server.url)
    other.fetch([b"a"])

    empty(server)

    for one in (store, other):
        with pytest.raises(StoreUnavailable, match="was emptied or replaced"):
            one.commit([Put(b"a", 0, b"1", LATER)])
        with pytest.raises(StoreUnavailable, match="was emptied or replaced"):
            one.fetch([b"a"])
    other.close()


def test_emptied_server_is_noticed_within_a_second_of_reads(
    server: RedisServer,
) -> None:
    clock = FakeClock()
    store = RedisStore(parse_address(server.url), clock=clock)
    store.fetch([b"a"])
    empty(server)

    clock.advance(CHECK_SECONDS)

    with pytest.raises(StoreUnavailable, match="was emptied or replaced"):
        store.fetch([b"a"])
    store.close()


def test_emptied_server_is_known_after_a_restart(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_store(server.url, folder=tmp_path)
    first.commit([Put(b"a", 0, b"1", LATER)])
    first.close()
    again = open_store(server.url, folder=tmp_path)
    assert again.fetch([b"a"]) == [Entry(1, b"1")]
    again.close()
    empty(server)

    restarted = open_store(server.url, folder=tmp_path)
    [mark] = tmp_path.iterdir()
    with pytest.raises(StoreUnavailable, match=re.escape(f"delete {mark} and restart")):
        restarted.fetch([b"a"])
    with pytest.raises(StoreUnavailable):
        restarted.commit([Put(b"a", 0, b"1", LATER)])
    mark.unlink()

    assert restarted.commit([Put(b"a", 0, b"1", LATER)]) == [True]
    assert "was emptied or replaced" in caplog.text
    restarted.close()


def test_store_of_a_release_without_marks_is_taken_unchanged(
    server: RedisServer, store: RedisStore
) -> None:
    store.commit([Put(b"a", 0, b"1", LATER)])
    with redis.Redis(port=server.port) as admin:
        admin.delete(*admin.keys("*/mark*"))

    later = open_store(server.url)

    assert later.fetch([b"a"]) == [Entry(1, b"1")]
    assert later.commit([Put(b"b", 0, b"1", LATER)]) == [True]
    later.close()
