"""A damaged LMDB file: what can be read is copied, what is lost is listed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.sessions.check_store import Report, check_store
from service.sessions.record import Session, encode
from service.stores.base import Entry, Put
from service.stores.lmdb.store import LmdbStore
from tests.servers import ROOT
from tests.service.memory.raw import count_pages, damage_in_lmdb

LATER = 2_000_000_000.0
PAGE_BYTES = 4_096
COUNT = 2_000
# Every twentieth has pages of its own.
SMALL, LARGE = bytes(1_000), bytes(12_000)


def name(number: int) -> bytes:
    return b"acme\0nature\0ticket-%04d" % number


def record(number: int) -> bytes:
    tensors = SMALL if number % 20 else LARGE
    return encode(Session(number, 1, bytes(16), 1.0, 2.0, 3.0, 4.0, tensors))


def fill(path: Path) -> None:
    store = LmdbStore(path)
    puts = [Put(name(i), 0, record(i), LATER + i) for i in range(COUNT)]
    random.Random(0).shuffle(puts)
    for start in range(0, COUNT, 100):
        store.commit(puts[start : start + 100])
    store.commit([Put(name(7), 1, record(7), LATER)])
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    fill(path)
    return path


def read_all(path: Path) -> dict[bytes, Entry]:
    store = LmdbStore(path)
    found = dict(store.scan(b"", b"", 2 * COUNT))
    assert store.count() == len(found)
    assert store.forget(LATER + COUNT, 2 * COUNT) == len(found)  # all are indexed
    store.close()
    return found


def overwrite(path: Path, pages: list[int], seed: int) -> None:
    source = random.Random(seed)
    with (path / "data.mdb").open("r+b") as data:
        for page in pages:
            data.seek(page * PAGE_BYTES)
            data.write(source.randbytes(PAGE_BYTES))


def test_whole_store_is_copied_unchanged(path: Path, tmp_path: Path) -> None:
    report = check_store(path, tmp_path / "copy")

    assert (report.num_read, report.num_expected) == (COUNT, COUNT)
    assert report.losses == []
    assert read_all(tmp_path / "copy") == read_all(path)


@pytest.mark.parametrize("seed", range(12))
def test_overwritten_pages_cost_what_they_contain(
    path: Path, tmp_path: Path, seed: int
) -> None:
    before = {name(i): record(i) for i in range(COUNT)}
    num_pages = count_pages(path)
    # Not the two metas: of those, one suffices.
    overwrite(path, random.Random(seed).sample(range(2, num_pages), 4), seed)

    report = check_or_refuse(path, tmp_path / "copy")
    if report is None:  # the page from which all others are found
        return

    copied = read_all(tmp_path / "copy")
    assert len(copied) == report.num_read
    assert all(before[key] == entry.value for key, entry in copied.items())
    missing = [key for key in before if key not in copied]
    assert all(is_covered(key, report.losses) for key in missing)
    assert bool(missing) <= bool(report.losses)


def check_or_refuse(path: Path, copy: Path) -> Report | None:
    try:
        return check_store(path, copy)
    except ValueError as error:
        if "Restore it from a backup" not in str(error):
            raise
        return None


def is_covered(key: bytes, losses: list[str]) -> bool:
    """Return whether a session is named as lost, or is in a range that is."""
    number = int(key[-4:])
    for loss in losses:
        named = [int(digits) for digits in re.findall(r"ticket-(\d{4})", loss)]
        if not loss.startswith("from "):
            found = named == [number]
        else:
            low = 0 if loss.startswith("from the first") else named[0]
            high = COUNT if "to the last" in loss else named[-1]
            found = low <= number < high
        if found:
            return True
    return False


@pytest.mark.parametrize("meta", [0, 1])
def test_one_meta_page_is_enough(path: Path, tmp_path: Path, meta: int) -> None:
    overwrite(path, [meta], 1)

    report = check_store(path, None)

    assert report.num_read >= COUNT - 100  # the older meta is a transaction behind


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_file_costs_its_end(path: Path, tmp_path: Path, share: float) -> None:
    size = count_pages(path) * PAGE_BYTES
    os.truncate(path / "data.mdb", int(size * share))

    report = check_or_refuse(path, tmp_path / "copy")

    if report is not None:
        assert report.losses
        assert len(read_all(tmp_path / "copy")) == report.num_read < COUNT


def test_damaged_record_is_lost_alone(path: Path, tmp_path: Path) -> None:
    store = LmdbStore(path)
    damage_in_lmdb(store, name(3), "short")
    store.close()

    report = check_store(path, tmp_path / "copy")

    assert report.losses == [
        "tenant 'acme' model 'nature' session 'ticket-0003': its record is damaged"
    ]
    assert report.num_read == COUNT - 1


def test_empty_store_has_nothing_to_lose(tmp_path: Path) -> None:
    LmdbStore(tmp_path / "store").close()

    assert check_store(tmp_path / "store", None) == (0, 0, [])


def test_store_in_use_is_refused(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"

    with pytest.raises(ValueError, match="Stop the service first"):
        check_store(path, None)

    holder.communicate(b"\n")
    assert check_store(path, None).num_read == COUNT


HOLD = """
import sys
from pathlib import Path
from service.stores.lmdb.store import LmdbStore
store = LmdbStore(Path(sys.argv[1]))
print("open", flush=True)
input()
"""


def test_copy_into_a_directory_that_exists_is_refused(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="expected a new directory"):
        check_store(path, tmp_path)


@pytest.mark.parametrize("seed", range(30))
def test_reader_survives_any_bytes(path: Path, seed: int) -> None:
    source = random.Random(seed)
    data = bytearray((path / "data.mdb").read_bytes())
    for _ in range(400):  # headers and pointers, where damage misleads most
        page = source.randrange(2, len(data) // PAGE_BYTES)
        data[page * PAGE_BYTES + source.randrange(64)] = source.randrange(256)
    (path / "data.mdb").write_bytes(data)

    try:
        report = check_store(path, None)
    except ValueError:
        return
    assert 0 <= report.num_read <= COUNT


def run_command(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CARRYOVER_")}
    return subprocess.run(
        [sys.executable, "-m", "service", "check-store", *options],
        cwd=ROOT,
        env={**environ, "CARRYOVER_MEMORY": f"lmdb://{path}"},
        capture_output=True,
        text=True,
    )


def test_command_copies_what_a_service_can_open(path: Path, tmp_path: Path) -> None:
    overwrite(path, [count_pages(path) - 2], 3)
    copy = tmp_path / "copy"

    done = run_command(path, "--copy-to", str(copy))

    assert done.returncode in (0, 1), done.stderr
    assert f"of {COUNT} sessions can be read" in done.stdout
    path.rename(tmp_path / "damaged")
    copy.rename(path)
    assert len(read_all(path)) > COUNT // 2


def test_command_of_another_store_says_what_is_expected() -> None:
    environ = {**os.environ, "CARRYOVER_MEMORY": "redis://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "service", "check-store"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "expected lmdb://PATH" in done.stderr
