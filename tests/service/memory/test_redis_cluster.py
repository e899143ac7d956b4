"""A cluster that changes while it is used: slots move, nodes die."""

from __future__ import annotations

import time
from collections.abc import Iterator
from zlib import crc32

import pytest
import redis
from redis.crc import key_slot

from service.errors import StoreUnavailable
from service.stores.base import Entry, Put
from service.stores.redis.layout import NUM_BUCKETS
from service.stores.redis.store import RedisStore
from service.stores.schemes import open_store
from tests.redis_servers import SLOTS, RedisServer, join, running_low, running_nodes
from tests.service.memory.losing_proxy import LosingProxy

pytestmark = pytest.mark.redis
LATER = 4_000_000_000.0
KEYS = [b"%d" % i for i in range(300)]


@pytest.fixture
def nodes() -> Iterator[list[RedisServer]]:
    with running_nodes("redis") as started:
        yield started


@pytest.fixture
def store(nodes: list[RedisServer]) -> Iterator[RedisStore]:
    opened = open_store(f"{nodes[0].url}?cluster=true&timeout_seconds=0.3")
    opened.commit([Put(key, 0, b"1", LATER) for key in KEYS])
    yield opened
    opened.close()


def test_store_follows_a_slot_that_moves(
    nodes: list[RedisServer], store: RedisStore
) -> None:
    slot = key_slot(store.layout.name_entry(KEYS[0]))
    owner = next(i for i in range(3) if slot in owned(i))

    move(slot, nodes[owner], nodes[owner - 1])

    mine = [
        key for key in KEYS if crc32(key) % NUM_BUCKETS == crc32(KEYS[0]) % NUM_BUCKETS
    ]
    assert store.commit([Put(key, 1, b"2", LATER) for key in mine]) == [True] * len(
        mine
    )
    assert store.fetch(mine) == [Entry(2, b"2")] * len(mine)
    assert [key for key, _ in store.scan(b"", b"", 1_000)] == sorted(KEYS)
    assert store.count() == 300


def test_dead_node_is_given_up_in_time_and_others_go_on(
    nodes: list[RedisServer], store: RedisStore
) -> None:
    gone = owned(1)
    lost = next(key for key in KEYS if key_slot(store.layout.name_entry(key)) in gone)
    kept = next(
        key for key in KEYS if key_slot(store.layout.name_entry(key)) not in gone
    )
    nodes[1].kill()
    start = time.monotonic()

    with pytest.raises(StoreUnavailable):
        store.fetch([lost])

    assert time.monotonic() - start < 60.0
    assert store.fetch([kept]) == [Entry(1, b"1")]


@pytest.fixture
def proxy() -> Iterator[LosingProxy]:
    """A cluster of one node, which clients reach through a proxy only."""
    with LosingProxy() as started:
        announced = ("--cluster-announce-port", str(started.port))
        with running_low("redis", "--cluster-enabled", "yes", *announced) as node:
            started.target = node.port
            join([node])
            yield started


@pytest.mark.parametrize("num_others", [0, 1])
def test_step_with_an_answer_lost_by_a_cluster_is_not_taken_twice(
    proxy: LosingProxy, num_others: int
) -> None:
    url = f"redis://127.0.0.1:{proxy.port}?cluster=true&timeout_seconds=1"
    store, other = open_store(url), open_store(url)
    store.commit([Put(b"a", 0, b"1", LATER), Put(b"b", 0, b"1", LATER)])
    mine = [Put(b"a", 1, b"mine", LATER), Put(b"b", 1, b"mine", LATER)]

    def step_further() -> None:
        for _ in range(num_others):
            assert other.commit([Put(b"a", 2, b"others", LATER)]) == [True]

    proxy.lose_next(b"EVALSHA", step_further)

    if num_others:  # whether it was stored cannot be known: a loser would step again
        with pytest.raises(StoreUnavailable, match="stored is not known"):
            store.commit(mine)
    else:
        assert store.commit(mine) == [True, True]

    assert proxy.num_lost == 1
    last = Entry(3, b"others") if num_others else Entry(2, b"mine")
    assert store.fetch([b"a", b"b"]) == [last, Entry(2, b"mine")]
    store.close()
    other.close()


def client_of(node: RedisServer) -> redis.Redis:
    return redis.Redis(port=node.port, decode_responses=True)


def owned(number: int, count: int = 3) -> range:
    """Return the slots a node was given when the cluster was formed."""
    return range(SLOTS * number // count, SLOTS * (number + 1) // count)


def move(slot: int, source: RedisServer, target: RedisServer) -> None:
    """Move a slot with its keys, as an operator's tool would."""
    with client_of(source) as old, client_of(target) as new:
        names = [c.execute_command("CLUSTER", "MYID") for c in (old, new)]
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        keys = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1_000)
        old.execute_command(
            *("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        )
        for client in (new, old):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[1])
