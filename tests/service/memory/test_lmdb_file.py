"""A store that writes through its map never meets a block that it does not have."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from service.errors import StoreFull
from service.stores.base import Put
from service.stores.lmdb.file import UNIT_BYTES, writes_in_place
from service.stores.lmdb.opening import open_environment
from service.stores.lmdb.store import LmdbStore

LATER = 2_000_000_000.0
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    if not writes_in_place(tmp_path):
        pytest.skip("this file system copies blocks; stores do not map them here")
    return tmp_path / "store"


def mount(kind: str, at: Path, options: str) -> None:
    command = ["mount", "-t", kind, "-o", options, kind, str(at)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a {kind} cannot be mounted here: {error}")


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A small disk of the size the test asks for, else of 4 MiB."""
    mount("tmpfs", tmp_path, f"size={getattr(request, 'param', '4m')}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def has_all_blocks(path: Path) -> bool:
    status = (path / "data.mdb").stat()
    return status.st_blocks * 512 >= status.st_size


def fill(path: Path, count: int, durable: bool = False, prefix: bytes = b"") -> None:
    store = LmdbStore(path, map_bytes=1 << 16, durable=durable)
    for i in range(count):
        assert store.commit([Put(prefix + b"%d" % i, 0, bytes(9_000), LATER)]) == [True]
    store.close()


def test_file_has_every_block_before_it_is_used(path: Path) -> None:
    store = LmdbStore(path, map_bytes=1 << 16)
    sizes = set()
    for i in range(300):
        store.commit([Put(b"%d" % i, 0, bytes(9_000), LATER)])
        sizes.add((path / "data.mdb").stat().st_size)
        assert has_all_blocks(path)

    assert len(sizes) > 5
    assert all(size % UNIT_BYTES == 0 for size in sizes)
    store.close()


def test_opening_again_neither_shortens_nor_lengthens_the_file(path: Path) -> None:
    fill(path, 200)
    before = (path / "data.mdb").stat().st_size

    LmdbStore(path, map_bytes=1 << 16).close()

    assert (path / "data.mdb").stat().st_size == before


def test_store_that_was_written_without_a_map_is_mapped(path: Path) -> None:
    fill(path, 200, durable=True)
    assert not has_all_blocks(path) or (path / "data.mdb").stat().st_size % UNIT_BYTES

    fill(path, 200, prefix=b"more")

    store = LmdbStore(path)
    assert store.count() == 400
    assert has_all_blocks(path)
    store.close()


def test_process_that_writes_to_the_file_is_followed(path: Path) -> None:
    """A release before this one may still run, and appends without the lock."""
    store = LmdbStore(path, map_bytes=1 << 16)
    writer = processes.Process(target=fill, args=(path, 300, True, b"other"))
    writer.start()
    own = 0
    while writer.is_alive() or own < 100:
        assert store.commit([Put(b"own%d" % own, 0, bytes(9_000), LATER)]) == [True]
        own += 1
    writer.join()

    assert writer.exitcode == 0
    assert store.count() == own + 300
    assert has_all_blocks(path)
    store.close()


def test_disk_that_another_file_fills_refuses_and_kills_nobody(disk: Path) -> None:
    store = LmdbStore(disk / "store", map_bytes=1 << 20)
    store.commit([Put(b"first", 0, bytes(1_000), LATER)])
    status = os.statvfs(disk)
    with (disk / "greedy").open("wb") as greedy:
        os.posix_fallocate(greedy.fileno(), 0, status.f_bavail * status.f_frsize)

    stored = fill_until_refused(store)

    assert stored > 20  # what was allocated is used
    assert store.commit([Put(b"first", 1, bytes(1_000), LATER)]) == [True]
    os.unlink(disk / "greedy")
    assert store.commit([Put(b"room", 0, bytes(9_000), LATER)]) == [True]
    store.close()


def fill_until_refused(store: LmdbStore) -> int:
    """Return how many entries were stored; the next was refused."""
    for i in range(1_000):
        try:
            store.commit([Put(b"%d" % i, 0, bytes(9_000), LATER)])
        except StoreFull:
            return i
    raise AssertionError("the store never filled")


@pytest.mark.parametrize("disk", ["60k"], indirect=True)
def test_disk_without_room_for_a_map_is_written_as_before(disk: Path) -> None:
    env, file, _ = open_environment(disk / "store", 1 << 20, [b"entries"], False)

    assert file is None
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    env.close()


def test_overlay_is_not_written_through_a_map(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    parts = [f"{kind}dir={tmp_path / kind}" for kind in ("lower", "upper", "work")]
    mount("overlay", tmp_path / "merged", ",".join(parts))
    try:
        path = tmp_path / "merged" / "store"
        env, file, _ = open_environment(path, 1 << 20, [b"entries"], False)
        assert file is None
        env.close()
        fill(path, 20)
        assert (path / "data.mdb").stat().st_size % UNIT_BYTES
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "merged")], check=True)


def test_durable_store_is_not_written_through_a_map(path: Path) -> None:
    env, file, _ = open_environment(path, 1 << 20, [b"entries"], True)

    assert file is None
    assert isinstance(env, lmdb.Environment)
    env.close()
