"""An LMDB file that something else damaged: refused or empty, never another's value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from service.errors import CorruptRecord, StoreUnavailable
from service.sessions.record import SessionKey
from service.stores.base import Entry, Put
from service.stores.lmdb.store import HEADER, LmdbStore
from tests.assembly import build_sessions
from tests.fakes import FakeClock
from tests.servers import ROOT
from tests.service.memory.raw import change_in_lmdb, count_pages
from tests.service.memory.stored import session_at

LATER = 2_000_000_000.0
COUNT = 2_000
PAGE_BYTES = 4_096

READ_ALL = f"""
import sys
from pathlib import Path
from zlib import crc32
from service.errors import StoreUnavailable
from service.stores.lmdb.store import HEADER, LmdbStore
store, found = LmdbStore(Path(sys.argv[1])), 0
for i in range({COUNT}):
    try:
        [entry] = store.fetch([b"%04d" % i])
        found += entry is not None and entry.value == b"%04d" % i * 250
    except StoreUnavailable:
        pass
print(found)
"""


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_truncated_file_does_not_kill_the_process(tmp_path: Path, share: float) -> None:
    path = tmp_path / "store"
    store = LmdbStore(path)
    store.commit([Put(b"%04d" % i, 0, b"%04d" % i * 250, LATER) for i in range(COUNT)])
    store.close()
    size = count_pages(path) * PAGE_BYTES
    os.truncate(path / "data.mdb", int(size * share))

    # In a process of its own: it may die of it.
    read = [sys.executable, "-c", READ_ALL, str(path)]
    done = subprocess.run(read, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode in (0, 1), done.stderr  # not a signal
    if done.returncode == 0:
        assert int(done.stdout) < COUNT
    else:
        assert "cannot be opened" in done.stderr


def test_value_under_another_key_is_not_served(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = LmdbStore(tmp_path / "store")
    sessions = build_sessions(store, clock, 60)
    mine, other = SessionKey("a", "m", "mine"), SessionKey("b", "m", "other")
    found = sessions.load([mine.encode()])[0]
    sessions.save([(mine.encode(), found, session_at(clock))])

    copy_raw(store, mine.encode(), other.encode())

    assert store.fetch([other.encode()]) == [Entry(1, b"")]
    with pytest.raises(CorruptRecord):
        sessions.get(other)
    assert sessions.delete(other) is None
    assert sessions.get(mine) == session_at(clock)
    store.close()


def copy_raw(store: LmdbStore, source: bytes, target: bytes) -> None:
    """Do what a damaged page does: let one key lead to another's bytes."""
    entries, _, _ = store.environment.databases
    store.environment.write(
        lambda txn: txn.put(target, bytes(txn.get(source, None, entries)), db=entries)
    )


def test_directory_of_another_format_is_refused(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store")
    store.commit([Put(b"a", 0, b"", LATER)])
    store.environment.write(lambda txn: txn.put(b"format", b"99"))
    store.close()

    with pytest.raises(ValueError, match="has format 99; expected 2"):
        LmdbStore(tmp_path / "store")


def test_store_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store")
    store.close()

    with pytest.raises(StoreUnavailable):
        store.fetch([b"a"])


def test_entry_cut_off_in_its_header_is_corrupt_and_can_be_replaced(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = LmdbStore(tmp_path / "store")
    sessions = build_sessions(store, clock, 1000)
    key, other = SessionKey("", "m", "cut"), SessionKey("", "m", "whole")
    found = sessions.load([key.encode(), other.encode()])
    session = session_at(clock, step=3)
    sessions.save(
        [
            (key.encode(), found[0], session),
            (other.encode(), found[1], session),
        ]
    )
    cut_entry(store, key.encode())

    damaged, whole = sessions.load([key.encode(), other.encode()])

    assert isinstance(damaged.record, CorruptRecord)
    assert whole.record == session
    assert sessions.save([(key.encode(), damaged, session)]) == [True]
    assert sessions.load([key.encode()])[0].record == session
    store.close()


def test_entry_cut_off_in_its_header_is_forgotten_when_it_is_due(
    tmp_path: Path,
) -> None:
    store = LmdbStore(tmp_path / "store")
    store.commit([Put(b"cut", 0, b"value", 10.0), Put(b"whole", 0, b"value", 10.0)])
    cut_entry(store, b"cut")

    assert store.forget(11.0, 10) == 2
    assert store.count() == 0
    store.close()


def cut_entry(store: LmdbStore, key: bytes) -> None:
    """Leave 20 bytes of an entry, as damage from outside might."""
    change_in_lmdb(store, key, lambda value: value[:20])


@pytest.mark.parametrize(
    "item",
    [b"cut", bytes(8), b"\xff" * 8 + b"whole", b"\x7f\xf8" + bytes(6) + b"nan"],
    ids=["cut off", "no key", "not a number", "unknown key"],
)
def test_damaged_item_of_the_index_does_not_stop_the_sweep(
    tmp_path: Path, item: bytes
) -> None:
    store = LmdbStore(tmp_path / "store")
    store.commit([Put(b"whole", 0, b"value", 10.0), Put(b"live", 0, b"value", LATER)])
    _, due, _ = store.environment.databases
    store.environment.write(lambda txn: txn.put(item, b"", db=due))

    assert store.forget(11.0, 10) == 1
    assert store.forget(11.0, 10) == 0
    assert [key for key, _ in store.scan(b"", b"", 10)] == [b"live"]
    store.close()


def test_entry_with_a_time_that_is_no_number_is_forgotten(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store")
    names = [b"%03d" % i for i in range(300)]
    store.commit([Put(name, 0, b"value", 10.0) for name in names])
    header = HEADER.pack(1, float("nan"), 10.0, 0)[:-4]
    for name in names:
        entry = header + crc32(name).to_bytes(4, "big") + b"value"
        change_in_lmdb(store, name, lambda _, entry=entry: entry)

    assert store.forget(11.0, 1_000) == 300
    store.close()
