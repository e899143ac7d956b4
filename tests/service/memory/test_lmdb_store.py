"""LMDB store alone: durability, and processes that share it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from service.stores.base import Entry, Put
from service.stores.lmdb.store import LmdbStore

LATER = 2_000_000_000.0
# Fresh interpreters: an environment must not be carried over a fork.
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_reopened_store_holds_everything(path: Path) -> None:
    entries = {b"%d" % i: b"value %d" % i for i in range(500)}
    store = LmdbStore(path)
    store.commit([Put(key, 0, value, LATER) for key, value in entries.items()])
    store.close()

    store = LmdbStore(path)

    assert store.count() == 500
    assert store.fetch(list(entries)) == [Entry(1, v) for v in entries.values()]
    store.close()


def test_directory_and_files_are_private(path: Path) -> None:
    LmdbStore(path).close()

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (path, *path.iterdir())}
    files = dict.fromkeys(("data.mdb", "lock.mdb", "store.mark"), 0o600)
    assert modes == {"store": 0o700, **files}


def test_path_that_cannot_be_a_directory_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ValueError, match="directory on a local disk"):
        LmdbStore(tmp_path / "file" / "store")


def test_store_opened_twice_in_a_process_is_refused(path: Path) -> None:
    store = LmdbStore(path)

    with pytest.raises(ValueError, match="opened once"):
        LmdbStore(path)

    store.close()


def test_step_leaves_the_index_alone_when_it_postpones(path: Path) -> None:
    store = LmdbStore(path)
    for version in range(10):
        store.commit([Put(b"a", version, b"", 100.0 + version)])
    store.commit([Put(b"a", 10, b"", 50.0)])

    assert index_size(store) == 1
    store.forget(60.0, 10)
    assert index_size(store) == 0
    store.close()


def index_size(store: LmdbStore) -> int:
    _, due, _ = store.environment.databases
    return store.environment.read(lambda txn: txn.stat(due)["entries"])


def test_increments_from_processes_add_up(path: Path) -> None:
    workers = [
        processes.Process(target=increment_often, args=(path, 200)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    store = LmdbStore(path)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert store.fetch([b"counter"]) == [Entry(800, b"800")]
    store.close()


def increment_often(path: Path, times: int) -> None:
    store = LmdbStore(path)
    for _ in range(times):
        stored = False
        while not stored:
            entry = store.fetch([b"counter"])[0] or Entry(0, b"0")
            change = Put(
                b"counter", entry.version, b"%d" % (int(entry.value) + 1), LATER
            )
            stored = store.commit([change])[0]
    store.close()


def test_killed_process_leaves_its_last_commit_and_no_lock(path: Path) -> None:
    store = LmdbStore(path)
    for _ in range(3):
        [before] = store.fetch([b"last"])
        committed = kill_while_it_writes(path, before.version if before else 0)

        [after] = store.fetch([b"last"])

        assert after is not None
        assert after.version in (committed, committed + 1)
        assert after.value == b"%d" % after.version * 1000
        assert store.commit([Put(b"mine", 0, b"", 1.0)]) == [True]
        assert store.forget(2.0, 10) == 1
    store.close()

    LmdbStore(path).close()


def kill_while_it_writes(path: Path, version: int) -> int:
    """Return the last version a writer reported before it was killed."""
    receiver, sender = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_forever, args=(path, version, sender))
    writer.start()
    sender.close()
    committed = version
    while committed < version + 200:
        committed = receiver.recv()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    try:
        while True:
            committed = receiver.recv()
    except EOFError:
        receiver.close()
        return committed


def write_forever(path: Path, version: int, sender: Connection) -> None:
    store = LmdbStore(path)
    while True:
        store.commit([Put(b"last", version, b"%d" % (version + 1) * 1000, LATER)])
        version += 1
        sender.send(version)
