"""A map that grows, and a store that is full but not broken."""

from __future__ import annotations

import multiprocessing
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.errors import StoreFull
from service.stores.base import Entry, Put
from service.stores.lmdb import opening
from service.stores.lmdb.store import LmdbStore

LATER = 2_000_000_000.0
# Fresh interpreters: an environment must not be carried over a fork.
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_map_grows_as_entries_come(path: Path) -> None:
    store = LmdbStore(path, map_bytes=1 << 16)
    for i in range(200):
        assert store.commit([Put(b"%d" % i, 0, b"x" * 10_000, LATER)]) == [True]

    assert store.count() == 200
    assert store.fetch([b"0", b"199"]) == [Entry(1, b"x" * 10_000)] * 2
    store.close()


def test_map_grown_by_another_process_is_adopted(path: Path) -> None:
    store = LmdbStore(path, map_bytes=1 << 16)
    store.commit([Put(b"mine", 0, b"1", LATER)])

    writer = processes.Process(target=fill, args=(path, 200))
    writer.start()
    writer.join()

    assert store.fetch([b"mine", b"199"]) == [Entry(1, b"1"), Entry(1, b"x" * 10_000)]
    assert store.commit([Put(b"mine", 1, b"2", LATER)]) == [True]
    store.close()


def test_processes_that_grow_the_map_together_lose_nothing(path: Path) -> None:
    workers = [processes.Process(target=fill, args=(path, 150, i)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    store = LmdbStore(path)
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert store.count() == 450
    store.close()


@pytest.mark.parametrize("durable", [False, True])
def test_map_that_grows_while_a_process_opens_it_is_adopted(
    path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    check_format = opening.check_format
    writers: list[multiprocessing.process.BaseProcess] = []

    def lose_the_race_and_check(*args: Any) -> None:
        if len(writers) < 2:  # the second one grows what the first left
            number = len(writers)
            writers.append(processes.Process(target=fill, args=(path, 100, number)))
            writers[-1].start()
            writers[-1].join()
        check_format(*args)

    monkeypatch.setattr(opening, "check_format", lose_the_race_and_check)
    store = LmdbStore(path, map_bytes=1 << 16, durable=durable)

    assert store.count() == 200
    assert store.commit([Put(b"mine", 0, b"1", LATER)]) == [True]
    store.close()


def fill(path: Path, count: int, number: int = 0) -> None:
    store = LmdbStore(path, map_bytes=1 << 16)
    for i in range(number * count, (number + 1) * count):
        if store.commit([Put(b"%d" % i, 0, b"x" * 10_000, LATER)]) != [True]:
            raise SystemExit(1)
    store.close()


def test_full_map_refuses_new_entries_and_stays_readable(path: Path) -> None:
    store = LmdbStore(path, map_bytes=1 << 16, max_map_bytes=1 << 20)

    stored = fill_until_refused(store)

    assert_intact(store, stored)
    store.close()


def test_full_disk_refuses_new_entries_and_stays_readable(small_disk: Path) -> None:
    store = LmdbStore(small_disk / "store")

    stored = fill_until_refused(store)

    assert_intact(store, stored)
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill_until_refused(store: LmdbStore) -> int:
    """Return how many entries were stored; the next was refused."""
    for i in range(1_000):
        try:
            store.commit([Put(b"%d" % i, 0, b"%d" % i * 5_000, 100.0 + i)])
        except StoreFull:
            return i
    raise AssertionError("the store never filled")


def assert_intact(store: LmdbStore, stored: int) -> None:
    """Everything stored before is there, and forgetting makes room again."""
    assert stored > 10
    entries = store.fetch([b"%d" % i for i in range(stored + 1)])
    assert entries == [Entry(1, b"%d" % i * 5_000) for i in range(stored)] + [None]
    assert store.forget(100.0 + stored // 2, 1_000) == stored // 2 + 1
    assert store.commit([Put(b"new", 0, b"x" * 20_000, LATER)]) == [True]
