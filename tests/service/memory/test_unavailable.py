"""Errors of LMDB leave the store as errors of the service."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from service.errors import StoreFull, StoreUnavailable
from service.stores.base import Put
from service.stores.lmdb.file import translate
from service.stores.lmdb.store import LmdbStore

USES: dict[str, Callable[[LmdbStore], object]] = {
    "fetch": lambda store: store.fetch([b"a"]),
    "commit": lambda store: store.commit([Put(b"a", 0, b"", 1.0)]),
    "scan": lambda store: store.scan(b"", b"", 1),
    "forget": lambda store: store.forget(1.0, 1),
    "count": lambda store: store.count(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_store_that_lmdb_cannot_use_is_unavailable(
    tmp_path: Path, use: Callable[[LmdbStore], object]
) -> None:
    store = LmdbStore(tmp_path / "store")
    store.close()

    with pytest.raises(StoreUnavailable, match="nothing was stored") as refusal:
        use(store)

    assert isinstance(refusal.value.__cause__, lmdb.Error)


def test_broken_disk_is_not_taken_for_a_full_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken, full = lmdb.Error("broken"), lmdb.DiskError("full")
    broken.code, full.code = errno.EIO, errno.ENOSPC

    assert isinstance(translate(broken, tmp_path), StoreUnavailable)
    assert isinstance(translate(full, tmp_path), StoreFull)
    assert "broken" in caplog.text
    assert str(tmp_path) not in translate(broken, tmp_path).detail
