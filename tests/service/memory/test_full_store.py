"""A full LMDB store: refuses what is new, keeps what is live, and can be emptied."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import StoreFull
from service.stores.base import Put
from service.stores.lmdb.reserve import SCRATCH
from service.stores.lmdb.store import LmdbStore

SIZES = (150, 1_100, 20_000)
LATER = 2_000_000_000.0
MAP_BYTES = 8 << 20
# Fresh interpreters: an environment must not be carried over a fork.
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(path: Path) -> Iterator[LmdbStore]:
    opened = open_small(path)
    yield opened
    opened.close()


def open_small(path: Path) -> LmdbStore:
    return LmdbStore(path, map_bytes=1 << 16, max_map_bytes=MAP_BYTES)


def fill(store: LmdbStore, size: int, seed: int = 0) -> list[bytes]:
    """Store records in random order until one is refused; return their keys."""
    dice, keys = random.Random(seed), []
    while True:
        key = dice.randbytes(32)
        try:
            store.commit([Put(key, 0, bytes(size), 100.0 + dice.random())])
        except StoreFull:
            return keys
        keys.append(key)


def update(store: LmdbStore, keys: list[bytes], size: int) -> list[bool]:
    entries = [entry for entry in store.fetch(keys) if entry]
    pairs = zip(keys, entries, strict=True)
    return store.commit(
        [Put(key, entry.version, b"y" * size, LATER) for key, entry in pairs]
    )


def has_reserve(store: LmdbStore) -> bool:
    pages = store.environment.write(store.reserve.count)
    return pages.ballast > 0 and pages.free > pages.count_missing()


@pytest.mark.parametrize("size", SIZES)
def test_full_store_can_be_emptied_and_filled_again(
    store: LmdbStore, size: int
) -> None:
    stored = len(fill(store, size))

    assert store.forget(1_000.0, 1_000_000) == stored
    assert store.count() == 0
    assert has_reserve(store)
    assert len(fill(store, size, seed=1)) > 0.9 * stored


@pytest.mark.parametrize("size", SIZES)
def test_full_store_keeps_live_sessions_advancing(store: LmdbStore, size: int) -> None:
    keys, dice = fill(store, size), random.Random(2)

    assert has_reserve(store)
    for number in range(200):
        changed = dice.sample(keys, dice.choice((1, 1, 16)))
        assert all(update(store, changed, size))
        with pytest.raises(StoreFull, match="CARRYOVER_TOMBSTONE_SECONDS"):
            store.commit([Put(b"new %d" % number, 0, bytes(100_000), LATER)])


def test_full_store_lets_a_session_end_but_not_begin_in_its_place(
    store: LmdbStore,
) -> None:
    keys = fill(store, 20_000)

    assert store.commit([Put(keys[0], 1, b"tombstone", 50.0)]) == [True]
    assert fill(store, 20_000, seed=1)  # in the room the ended one left
    with pytest.raises(StoreFull):
        store.commit([Put(keys[0], 2, bytes(20_000), LATER)])


@pytest.mark.parametrize("size", SIZES)
def test_postponed_sessions_are_kept_when_a_full_store_is_swept(
    store: LmdbStore, size: int
) -> None:
    keys = fill(store, size)
    for key in keys[::2]:
        update(store, [key], size)

    assert store.forget(1_000.0, 1_000_000) == len(keys) // 2

    assert store.count() == len(keys[::2])


def test_processes_can_fill_and_empty_a_store_together(path: Path) -> None:
    workers = [processes.Process(target=fill_and_empty, args=(path, i)) for i in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    store = open_small(path)
    assert [worker.exitcode for worker in workers] == [0, 0]
    store.forget(1_000.0, 1_000_000)
    assert store.count() == 0
    assert has_reserve(store)
    store.close()


def fill_and_empty(path: Path, seed: int) -> None:
    store = open_small(path)
    for turn in range(3):
        fill(store, 1_100, seed=10 * seed + turn)
        store.forget(1_000.0, 1_000_000)
    store.close()


def test_a_process_that_died_while_it_made_room_leaves_no_lasting_ballast(
    path: Path,
) -> None:
    store = open_small(path)
    _, _, ballast = store.environment.databases
    store.environment.write(lambda txn: txn.put(SCRATCH, bytes(1 << 20), db=ballast))
    store.close()

    store = open_small(path)
    fill(store, 1_100)

    _, _, ballast = store.environment.databases
    assert store.environment.read(lambda txn: txn.get(SCRATCH, db=ballast)) is None
    assert store.forget(1_000.0, 1_000_000) > 2_500
    store.close()
