"""Redis store alone: connections that break, servers that fill up."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.client import Pipeline
from redis.crc import key_slot

from service.errors import StoreFull, StoreUnavailable
from service.stores.base import Capacity, Entry, Put, Store
from service.stores.redis.address import RedisAddress, parse_address
from service.stores.redis.client import RedisClient
from service.stores.redis.store import RedisStore
from service.stores.schemes import open_store
from tests.redis_servers import (
    SLOTS,
    RedisServer,
    decrypting,
    make_certificate,
    running,
)
from tests.servers import ROOT
from tests.service.memory import lone_redis
from tests.service.memory.lone_redis import LATER
from tests.service.memory.losing_proxy import LosingProxy

pytestmark = pytest.mark.redis

server = pytest.fixture(lone_redis.server)
store = pytest.fixture(lone_redis.store)
PASSWORD = "s3cret/p@ss"
QUOTED = "s3cret%2Fp%40ss"


def fill(store: Store) -> None:
    for i in range(1_000):
        store.commit([Put(b"%03d" % i, 0, bytes(20_000), LATER)])


def test_store_survives_a_restart_of_its_server(
    server: RedisServer, store: Store
) -> None:
    store.commit([Put(b"%d" % i, 0, b"v%d" % i, LATER) for i in range(100)])

    server.kill()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.fetch([b"1"])
    server.start()

    # The scripts are unknown to the new process, the connections are dead.
    assert store.fetch([b"1"]) == [Entry(1, b"v1")]
    assert store.commit([Put(b"1", 1, b"next", LATER)]) == [True]
    assert store.count() == 100


def test_store_may_be_opened_before_its_server(server: RedisServer) -> None:
    server.kill()
    store = open_store(server.url)
    with pytest.raises(StoreUnavailable):
        store.commit([Put(b"a", 0, b"", LATER)])

    server.start()

    assert store.commit([Put(b"a", 0, b"", LATER)]) == [True]
    store.close()


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[LosingProxy]:
    with LosingProxy() as started:
        started.target = server.port
        yield started


def test_repeated_commit_with_a_lost_answer_is_stored_once(
    proxy: LosingProxy,
) -> None:
    mine, other = open_pair(proxy)
    proxy.lose_next(b"EVALSHA", lambda: None)

    assert mine.commit([Put(b"a", 0, b"mine", LATER)]) == [True]
    assert other.commit([Put(b"a", 0, b"others", LATER)]) == [False]

    assert proxy.num_lost == 1
    assert mine.fetch([b"a"]) == [Entry(1, b"mine")]
    mine.close()
    other.close()


@pytest.mark.parametrize("is_stored", [False, True], ids=["one ahead", "two ahead"])
def test_commit_sent_again_after_others_went_on_is_not_called_a_loser(
    proxy: LosingProxy, is_stored: bool
) -> None:
    mine, other = open_pair(proxy)
    other.commit([Put(b"a", 0, b"first", LATER)])
    version = 2 if is_stored else 1

    def step_further() -> None:
        assert other.commit([Put(b"a", version, b"others", LATER)]) == [True]

    proxy.lose_next(b"EVALSHA", step_further, reaches_server=is_stored)

    if is_stored:  # and has been built upon
        with pytest.raises(StoreUnavailable, match="stored is not known"):
            mine.commit([Put(b"a", 1, b"mine", LATER)])
    else:  # another took its place
        assert mine.commit([Put(b"a", 1, b"mine", LATER)]) == [False]
    assert proxy.num_lost == 1
    mine.close()
    other.close()


def open_pair(proxy: LosingProxy) -> tuple[Store, Store]:
    """Open a server's store twice, with the scripts known to the server."""
    url = f"redis://127.0.0.1:{proxy.port}?timeout_seconds=60"
    stores = open_store(url), open_store(url)
    for store in stores:
        store.commit([Put(b"known", 0, b"", LATER)])
    return stores


def test_server_that_does_not_answer_is_given_up_in_time(server: RedisServer) -> None:
    store = open_store(server.url + "?timeout_seconds=0.5")
    server.process.send_signal(signal.SIGSTOP)
    # Who waits without end is answered then, and the test fails.
    resume = threading.Timer(60, server.process.send_signal, [signal.SIGCONT])
    resume.start()

    try:
        with pytest.raises(StoreUnavailable):
            store.fetch([b"a"])
    finally:
        resume.cancel()
        server.process.send_signal(signal.SIGCONT)
        store.close()


def test_entry_past_its_time_is_dropped_by_the_server(store: Store) -> None:
    store.commit([Put(b"old", 0, b"", 1.0), Put(b"new", 0, b"", LATER)])

    assert store.fetch([b"old", b"new"]) == [None, Entry(1, b"")]
    assert store.scan(b"", b"", 10) == [(b"new", Entry(1, b""))]
    assert store.forget(2.0, 10) == 1
    assert store.count() == 1
    assert store.commit([Put(b"old", 0, b"", LATER)]) == [True]


def test_full_server_refuses_new_entries_and_stays_readable(
    server: RedisServer, store: Store
) -> None:
    with redis.Redis(port=server.port) as admin:
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 2_000_000)

    with pytest.raises(StoreFull, match="maxmemory"):
        fill(store)

    found = store.scan(b"", b"", 1_000)
    assert [key for key, _ in found] == [b"%03d" % i for i in range(len(found))]
    assert len(found) > 50
    mixed = [Put(b"000", 1, bytes(20_000), LATER), Put(b"new", 0, b"", LATER)]
    advanced, refused = store.commit(mixed)
    assert advanced is True
    assert isinstance(refused, StoreFull)
    assert store.commit([Put(b"000", 2, b"tombstone", 1e12)]) == [True]
    assert store.forget(LATER, 20) == 20
    assert store.commit([Put(b"new", 0, b"", LATER)]) == [True]


def test_documented_commands_are_enough(server: RedisServer) -> None:
    text = (ROOT / "docs" / "how-to" / "stores.md").read_text()
    listed = text.partition("these commands is enough:")[2].partition(".")[0]
    names = [name.lower().replace(" ", "|") for name in re.findall("`(.*?)`", listed)]
    with redis.Redis(port=server.port) as admin:
        rules = ["on", ">pw", "~carryover:*", *(f"+{name}" for name in names)]
        admin.execute_command("ACL", "SETUSER", "service", *rules)
    store = open_store(f"redis://service:pw@127.0.0.1:{server.port}")

    assert store.commit([Put(b"a", 0, b"1", LATER), Put(b"b", 0, b"2", LATER)])
    assert store.commit([Put(b"a", 1, b"1", 9.0 + LATER)]) == [True]

    assert store.scan(b"", b"", 10) == [(b"a", Entry(2, b"1")), (b"b", Entry(1, b"2"))]
    assert store.forget(LATER, 10) == 1
    assert store.count() == 1
    store.close()


def test_server_that_evicts_is_refused(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as admin:
        admin.config_set("maxmemory", 100_000_000)
        admin.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(ValueError, match=r"allkeys-lru.*expected noeviction"):
        open_store(server.url)


def test_capacity_in_bytes_leaves_live_sessions_going_on(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as admin:
        limit = admin.info("memory")["used_memory"] + 2_000_000
    store = open_store(server.url, Capacity(max_bytes=limit))

    with pytest.raises(StoreFull, match="CARRYOVER_MAX_MEMORY_BYTES"):
        fill(store)

    assert 50 < store.count() <= 100
    assert store.commit([Put(b"000", 1, bytes(30_000), LATER)]) == [True]
    store.close()


def test_encrypted_connection_verifies_its_server(
    server: RedisServer, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    with decrypting(server.port, certificate, key) as port:
        trusting = open_store(f"rediss://127.0.0.1:{port}?ca={certificate}")
        wary = open_store(f"rediss://127.0.0.1:{port}")

        assert trusting.commit([Put(b"a", 0, b"1", LATER)]) == [True]
        assert trusting.fetch([b"a"]) == [Entry(1, b"1")]
        with pytest.raises(StoreUnavailable):
            wary.fetch([b"a"])

        trusting.close()
        wary.close()


def test_password_is_used_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with running("redis", "--requirepass", PASSWORD) as server:
        at = f"127.0.0.1:{server.port}"
        store = open_store(f"redis://:{QUOTED}@{at}")
        assert store.commit([Put(b"a", 0, b"1", LATER)]) == [True]
        store.close()

        url = f"redis://someone:wrong{QUOTED}@{at}"
        wrong = open_store(url)
        with pytest.raises(StoreUnavailable) as refusal:
            wrong.fetch([b"a"])
        wrong.close()

    shown = caplog.text + refusal.value.detail + repr(parse_address(url))
    assert at in caplog.text
    for secret in (PASSWORD, QUOTED, "s3cret"):
        assert secret not in shown


def test_threads_share_few_connections(server: RedisServer) -> None:
    store = open_store(server.url + "?connections=3")
    threads = [
        threading.Thread(
            target=lambda i=i: store.commit([Put(b"%d" % i, 0, b"", LATER)])
        )
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with redis.Redis(port=server.port) as admin:
        assert len(admin.client_list()) <= 4
    assert store.count() == 20
    store.close()


def test_batch_is_one_round_trip(
    server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[int] = []
    execute = Pipeline.execute

    def count_and_execute(self: Pipeline, **options: Any) -> list[Any]:
        trips.append(len(self))
        return execute(self, **options)

    monkeypatch.setattr(Pipeline, "execute", count_and_execute)
    puts = [Put(b"%d" % i, 0, b"", LATER) for i in range(64)]
    store.commit(puts)  # which also makes the scripts known
    trips.clear()

    store.fetch([put.key for put in puts])
    store.commit([put.replace(expected=1) for put in puts])

    assert [n - n % 64 for n in trips] == [64, 64]  # once a second the mark too


def test_script_of_another_slot_is_not_needed(server_url: Callable[[str], str]) -> None:
    """In a cluster, each script's keys are where its entry is."""
    url = server_url("cluster")
    store = RedisStore(parse_address(f"{url}&prefix=slots"))
    puts = [Put(b"%d" % i, 0, b"", LATER) for i in range(300)]

    assert all(store.commit(puts))

    slots = {key_slot(store.layout.name_entry(put.key)) for put in puts}
    assert {slot * 3 // SLOTS for slot in slots} == {0, 1, 2}
    store.close()


def test_server_that_cannot_be_resolved_is_unavailable() -> None:
    client = RedisClient(RedisAddress((("host.invalid", 1),), timeout_seconds=0.2))

    with pytest.raises(StoreUnavailable):
        client.info("memory")
