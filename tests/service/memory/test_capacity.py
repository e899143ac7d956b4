"""A store at its capacity begins nothing new, evicts nothing, and serves the rest."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import StoreFull
from service.sessions.record import SessionKey
from service.stores.base import Capacity, Entry, Put, Store
from service.stores.lmdb.store import LmdbStore
from tests.assembly import build_sessions
from tests.fakes import FakeClock
from tests.service.memory.stored import session_at

LATER = 4_000_000_000.0
# Fresh interpreters: an environment must not be carried over a fork.
processes = multiprocessing.get_context("spawn")
Open = Callable[[Capacity], Store]


def fill(store: Store, count: int, size: int = 1000) -> None:
    for i in range(count):
        store.commit([Put(b"%03d" % i, 0, bytes(size), LATER + i)])


def test_store_with_a_limit_of_entries_refuses_another(open_limited: Open) -> None:
    store = open_limited(Capacity(max_entries=3))
    fill(store, 3)

    with pytest.raises(StoreFull, match="CARRYOVER_MAX_SESSIONS"):
        store.commit([Put(b"new", 0, b"", LATER)])

    assert store.count() == 3
    assert store.fetch([b"new"]) == [None]


def test_entries_of_a_full_store_go_on(open_limited: Open) -> None:
    store = open_limited(Capacity(max_entries=3))
    fill(store, 3)

    assert store.commit([Put(b"001", 1, bytes(5000), LATER)]) == [True]

    assert store.fetch([b"001"]) == [Entry(2, bytes(5000))]


def test_forgotten_entries_make_room(open_limited: Open) -> None:
    store = open_limited(Capacity(max_entries=3))
    fill(store, 3)

    assert store.forget(LATER, 10) == 1

    assert store.commit([Put(b"new", 0, b"", LATER)]) == [True]
    with pytest.raises(StoreFull):
        store.commit([Put(b"newer", 0, b"", LATER)])


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_store_with_a_limit_of_bytes_evicts_nothing(
    open_kind: Callable[[str, Capacity], Store], kind: str
) -> None:
    store = open_kind(kind, Capacity(max_bytes=5_000_000))

    with pytest.raises(StoreFull, match="CARRYOVER_MAX_MEMORY_BYTES"):
        fill(store, 1_000, size=50_000)

    found = [key for key, _ in store.scan(b"", b"", 1_000)]
    assert found == [b"%03d" % i for i in range(store.count())]
    assert 50 < len(found) <= 100
    assert store.commit([Put(b"000", 1, bytes(60_000), LATER)]) == [True]


def test_new_sessions_are_refused_and_live_ones_of_the_batch_go_on(
    open_limited: Open, clock: FakeClock
) -> None:
    sessions = build_sessions(open_limited(Capacity(max_entries=1)), clock, LATER)
    key = SessionKey("", "m", "live")
    live, new = key.encode(), SessionKey("", "m", "new").encode()
    [unknown] = sessions.load([live])
    sessions.save([(live, unknown, session_at(clock))])

    found = sessions.load([live, new])
    stored, refused = sessions.save(
        [
            (live, found[0], session_at(clock, 2)),
            (new, found[1], session_at(clock)),
        ]
    )

    assert stored is True
    assert isinstance(refused, StoreFull)
    assert sessions.get(key).step == 2


def test_processes_together_keep_to_the_capacity(tmp_path: Path) -> None:
    path = tmp_path / "store"
    workers = [
        processes.Process(target=begin_many, args=(path, number)) for number in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    store = LmdbStore(path)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert store.count() == 100
    store.close()


def begin_many(path: Path, number: int) -> None:
    store = LmdbStore(path, capacity=Capacity(max_entries=100))
    for i in range(60):
        with contextlib.suppress(StoreFull):
            store.commit([Put(b"%d %d" % (number, i), 0, b"", LATER)])
    store.close()
