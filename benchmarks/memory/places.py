"""The stores to be measured, and what each takes of disk and RAM.

It does not know what is measured.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import redis

from service.stores.base import Store
from service.stores.schemes import open_store
from tests.redis_servers import running

KINDS = ("memory", "lmdb", "lmdb-disk", "redis", "valkey")
PAGE_BYTES = 4096
BLOCK_BYTES = 512


class Place(NamedTuple):
    """An open store and what it takes, in bytes; None where that has no meaning."""

    store: Store
    disk_bytes: Callable[[], int | None]
    ram_bytes: Callable[[], int | None]


@contextlib.contextmanager
def open_place(kind: str, folder: Path) -> Iterator[Place]:
    """Open an empty store.

    Args:
        kind: One of `KINDS`.
        folder: Where files go; on the disk that is to be measured.
    """
    if kind == "memory":
        before = read_resident()
        yield Place(open_store("memory://"), _none, lambda: read_resident() - before)
    elif kind.startswith("lmdb"):
        path = Path(tempfile.mkdtemp(dir=folder))
        durability = "disk" if kind == "lmdb-disk" else "process"
        store = open_store(f"lmdb://{path}/store?durability={durability}")
        # Its RAM is the page cache, which is the system's to give and take.
        yield Place(store, lambda: read_blocks(path), _none)
        store.close()
        shutil.rmtree(path)
    else:
        with running(kind) as server, redis.Redis(port=server.port) as admin:
            before = int(admin.info("memory")["used_memory"])
            store = open_store(server.url)

            def read_used() -> int:
                return int(admin.info("memory")["used_memory"]) - before

            yield Place(store, _none, read_used)
            store.close()


def _none() -> None:
    return None


def read_resident() -> int:
    """Return how many bytes of RAM this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def read_blocks(folder: Path) -> int:
    """Return how many bytes of disk the files of a folder take."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_blocks * BLOCK_BYTES for path in files)
