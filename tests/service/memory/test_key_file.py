from __future__ import annotations

import multiprocessing
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.memory.seal import load_or_create_key


def test_key_file_is_created_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "seal.key"

    key = load_or_create_key(path)

    assert load_or_create_key(path) == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["seal.key"]


def test_key_file_of_another_length_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    path.write_bytes(b"not a key")

    with pytest.raises(ValueError, match="holds 9 bytes; expected 32"):
        load_or_create_key(path)

    assert path.read_bytes() == b"not a key"


def test_threads_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    for attempt in range(20):
        path = tmp_path / f"{attempt}.key"

        keys = race_for_key(path)

        assert keys == [path.read_bytes()] * 8


def race_for_key(path: Path) -> list[bytes]:
    """Return what eight threads get that ask for the key at the same moment."""
    start = threading.Barrier(8)

    def ask(_: int) -> bytes:
        start.wait()
        return load_or_create_key(path)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, range(8)))


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"

    with multiprocessing.get_context("spawn").Pool(3) as pool:
        keys = pool.map(load_or_create_key, [path] * 12, chunksize=1)

    assert set(keys) == {path.read_bytes()}
