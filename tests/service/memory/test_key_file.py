from __future__ import annotations

import multiprocessing
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from service.sessions.record import Session
from service.sessions.tokens.cipher import TokenCipher, begin_chain
from service.sessions.tokens.key_file import load_or_create_keys


def test_key_file_is_created_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "seal.key"

    [key] = load_or_create_keys(path)

    assert load_or_create_keys(path) == [key]
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {e.name for e in path.parent.iterdir()} == {"seal.key", "seal.key.mark"}


def test_key_file_that_is_lost_is_not_made_again(tmp_path: Path) -> None:
    path, mark = tmp_path / "seal.key", tmp_path / "seal.key.mark"
    [key] = load_or_create_keys(path)
    path.unlink()

    with pytest.raises(ValueError, match="is missing; expected the key that sealed"):
        load_or_create_keys(path)
    assert not path.exists()
    mark.unlink()

    assert load_or_create_keys(path) != [key]


def test_key_file_of_another_length_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    path.write_bytes(b"not a key")

    with pytest.raises(ValueError, match="holds 9 bytes; expected 32"):
        load_or_create_keys(path)

    assert path.read_bytes() == b"not a key"


def test_threads_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    for attempt in range(20):
        path = tmp_path / f"{attempt}.key"

        keys = race_for_key(path)

        assert keys == [path.read_bytes()] * 8


def test_key_that_another_process_makes_between_two_looks_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, others = tmp_path / "seal.key", []
    exists = Path.exists

    def lose_the_race(self: Path) -> bool:
        was_there = exists(self)
        if self == path and not others:
            others.append([])
            others[0] = load_or_create_keys(path)
        return was_there

    monkeypatch.setattr(Path, "exists", lose_the_race)

    assert load_or_create_keys(path) == others[0] == [path.read_bytes()]


def race_for_key(path: Path) -> list[bytes]:
    """Return what eight threads get that ask for the key at the same moment."""
    start = threading.Barrier(8)

    def ask(_: int) -> bytes:
        start.wait()
        return load_or_create_keys(path)[0]

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, range(8)))


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"

    with multiprocessing.get_context("spawn").Pool(3) as pool:
        keys = pool.map(load_or_create_keys, [path] * 12, chunksize=1)

    assert keys == [[path.read_bytes()]] * 12


OLD, NEW = b"o" * 32, b"n" * 32
SESSION = Session(1, 1, bytes(16), 0.0, 0.0, 100.0, 100.0, bytes(4))


def test_last_key_of_a_file_seals(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    path.write_bytes(OLD + NEW)

    assert load_or_create_keys(path) == [NEW, OLD]


def test_last_file_of_a_directory_seals_and_hidden_ones_are_none(
    tmp_path: Path,
) -> None:
    (tmp_path / "2026-01").write_bytes(OLD)
    (tmp_path / "2026-11").write_bytes(NEW)
    (tmp_path / "..data").write_bytes(b"x" * 32)
    (tmp_path / "folder").mkdir()

    assert load_or_create_keys(tmp_path) == [NEW, OLD]


def test_directory_without_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no file; expected one of 32"):
        load_or_create_keys(tmp_path)


@pytest.mark.parametrize("content", [b"", OLD + b"n" * 31, b"x"])
def test_part_of_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.key").write_bytes(content)

    for path in (tmp_path / "1.key", tmp_path):
        with pytest.raises(ValueError, match=f"holds {len(content)} bytes"):
            load_or_create_keys(path)


def test_keys_are_replaced_while_replicas_restart_one_after_another(
    tmp_path: Path,
) -> None:
    """In each state of the documented rotation, all replicas open all tokens."""
    path = tmp_path / "token.key"
    states = [OLD, NEW + OLD, OLD + NEW, NEW]
    tokens: list[str] = []

    for before, after in pairwise(states):
        replicas = []
        for content in (before, after):
            path.write_bytes(content)
            replicas.append(TokenCipher(load_or_create_keys(path)))
        tokens = [seal_with(replica) for replica in replicas]
        for replica in replicas:
            if after != NEW:  # the last round waits until the old tokens expired
                assert all(open_with(replica, token) for token in tokens)

    assert open_with(TokenCipher([NEW]), tokens[-1])


def seal_with(replica: TokenCipher) -> str:
    return replica.seal(SESSION, tenant="", model="nature", chain=begin_chain())


def open_with(replica: TokenCipher, token: str) -> Session:
    return replica.open(token, tenant="", model="nature", now=1.0).record
