"""A store that is gone is not begun again, and one that is replaced is not served."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import StoreUnavailable
from service.stores.base import Entry, Put
from service.stores.lmdb.identity import list_marks
from service.stores.lmdb.store import LmdbStore
from tests.service.test_two_workers import Bare
from tests.waiting import wait_until

LATER = 2_000_000_000.0
PUT = Put(b"a", 0, b"1", LATER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one entry, closed."""
    path = tmp_path / "here" / "store"
    store = LmdbStore(path)
    store.commit([PUT])
    store.close()
    return path


def empty(path: Path) -> None:
    (path / "data.mdb").write_bytes(b"")


def delete_data(path: Path) -> None:
    (path / "data.mdb").unlink()


@pytest.mark.parametrize("lose", [empty, delete_data, shutil.rmtree])
def test_lost_store_is_not_begun_again(
    path: Path, lose: Callable[[Path], None]
) -> None:
    lose(path)

    with pytest.raises(ValueError, match="Restore it from a backup"):
        LmdbStore(path)

    left = {file.name for file in path.iterdir()} if path.exists() else set()
    assert left <= {"data.mdb", "lock.mdb", "store.mark"}
    assert not (path / "data.mdb").exists() or not (path / "data.mdb").stat().st_size


@pytest.mark.parametrize("lose", [empty, delete_data, shutil.rmtree])
def test_operator_begins_again_by_deleting_the_marks(
    path: Path, lose: Callable[[Path], None]
) -> None:
    lose(path)
    with pytest.raises(ValueError, match="delete ") as refusal:
        LmdbStore(path)
    named = str(refusal.value).rpartition("delete ")[2].rstrip(".").split(" and ")

    for mark in named:
        Path(mark).unlink()

    store = LmdbStore(path)
    assert store.count() == 0
    store.close()


def test_store_that_was_made_before_marks_gets_them(path: Path) -> None:
    for mark in list_marks(path):
        mark.unlink()

    LmdbStore(path).close()

    assert all(mark.exists() for mark in list_marks(path))
    assert {stat.S_IMODE(mark.stat().st_mode) for mark in list_marks(path)} == {0o600}


def test_restored_store_is_opened(path: Path) -> None:
    backup = path.with_name("backup")
    shutil.copytree(path, backup)
    shutil.rmtree(path)

    shutil.copytree(backup, path)

    store = LmdbStore(path)
    assert store.fetch([b"a"]) == [Entry(1, b"1")]
    store.close()


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copytree(path, copy)
    shutil.rmtree(path)
    copy.rename(path)


@pytest.mark.parametrize("lose", [delete_data, shutil.rmtree, replace])
def test_store_that_is_not_at_its_path_refuses_everything(
    path: Path, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    store = LmdbStore(path)
    calls: list[Callable[[], object]] = [
        lambda: store.fetch([b"a"]),
        lambda: store.commit([PUT]),
        lambda: store.scan(b"", b"", 1),
        lambda: store.forget(0.0, 1),
        lambda: store.count(),
    ]

    lose(path)
    store.environment.identity.check()

    for call in calls:
        with pytest.raises(StoreUnavailable, match="deleted or replaced"):
            call()
    assert "Restore it and restart the service" in caplog.text
    store.close()


def test_store_that_was_moved_away_and_back_is_used_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store = LmdbStore(path)
    path.rename(path.with_name("away"))
    store.environment.identity.check()
    path.with_name("away").rename(path)

    store.environment.identity.check()

    assert store.fetch([b"a"]) == [Entry(1, b"1")]
    assert "is back" in caplog.text
    store.close()


@pytest.mark.server
def test_service_with_a_deleted_store_says_so_in_every_worker(tmp_path: Path) -> None:
    with Bare(tmp_path / "models", tmp_path, workers=2) as server:
        wait_until(lambda: all(maps_data(pid) for pid in server.worker_pids()))
        shutil.rmtree(tmp_path / "memory")

        wait_until(lambda: in_a_row(server, 20, "store_unavailable"))

        assert "deleted or replaced" in server.get("/v2/health/ready").json()["detail"]
        os.kill(server.worker_pids()[0], signal.SIGKILL)
        wait_until(lambda: "Restore it from a backup" in server.read_log())
        assert not (tmp_path / "memory").exists()


def maps_data(pid: int) -> bool:
    """Return whether a worker has opened the store."""
    return "data.mdb" in Path(f"/proc/{pid}/maps").read_text()


def in_a_row(server: Bare, times: int, code: str) -> bool:
    """Return whether all of some answers, of both workers by chance, have a code."""
    for _ in range(times):
        answer = server.get("/v2/health/ready")
        if (answer.status_code, answer.json().get("code")) != (503, code):
            return False
    return True


@pytest.mark.parametrize("lost", ["begun", "gone"])
def test_store_that_is_deleted_while_it_is_opened_is_not_begun_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    module = {"begun": "opening.check_mark", "gone": "opening.write_marks"}[lost]
    monkeypatch.setattr(f"service.stores.lmdb.{module}", shutil.rmtree)

    for _ in range(2):
        with pytest.raises(ValueError, match=r"is missing.*Restore it from a backup"):
            LmdbStore(path)
        monkeypatch.undo()


def test_store_that_another_process_makes_between_two_looks_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, others = tmp_path / "store", []
    exists = Path.exists

    def lose_the_race(self: Path) -> bool:
        was_there = exists(self)
        if self in (path / "data.mdb", *list_marks(path)) and not others:
            others.append(None)
            other = LmdbStore(path)
            other.commit([PUT])
            other.close()
        return was_there

    monkeypatch.setattr(Path, "exists", lose_the_race)
    store = LmdbStore(path)

    assert store.fetch([PUT.key]) == [Entry(1, PUT.value)]
    store.close()
