"""One LMDB environment with transactions that retry while its map grows.

Durability of a process, the default: `sync=False`, and a flush each second. A commit
is a write to the page cache, so it survives the death of this process, SIGKILL
included, and costs microseconds instead of the milliseconds of an fsync. A crash of the
operating system may undo the last second. On a file system that reorders writes
(most do) it may also leave the tree damaged, because LMDB's newest root can reach
the disk before the pages below it; every record carries a checksum, so damage is
refused, never served.

Durability of the disk: `sync=True`, one fsync a transaction, so that what a commit
returned survives a crash of the operating system. It takes milliseconds, under gevent
on its thread pool.

Written through its map where the file system writes blocks in place (see `file`): a
commit of one step then costs a third. Elsewhere, and where each commit waits for the
disk, LMDB writes to the file: a full disk must refuse a write, not kill the process.

It does not know what is stored. Use it on a local file system only (not NFS), and open
it after forking, once in each process.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

import lmdb

from service.common.loop import make_brief_lock, offload
from service.errors import StoreFull
from service.stores.lmdb.file import (
    LmdbFile,
    refuse_without_room,
    store_full,
    store_replaced,
    translate,
)
from service.stores.lmdb.identity import DATA, LmdbIdentity
from service.stores.lmdb.opening import adopt_size, open_environment

log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
T = TypeVar("T")
# A reader wants the whole value, so let LMDB copy it; a writer looks at headers only.
ReadTransaction: TypeAlias = "lmdb.Transaction[bytes]"
WriteTransaction: TypeAlias = "lmdb.Transaction[memoryview]"


class LmdbFlusher:
    """Flushes a store's file each second if it changed, and watches its file.

    A flush holds up neither readers nor writers.

    Attributes:
        is_due: Set by whoever commits.
    """

    def __init__(self, data: Path, identity: LmdbIdentity) -> None:
        self.is_due = False
        self._path = data
        # Not LMDB's own way, which reads a map that may be made longer meanwhile.
        self._data = os.open(data, os.O_RDONLY)
        self._identity = identity
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="memory-flush", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._identity.check()
            self._flush()

    def _flush(self) -> None:
        if not self.is_due:
            return
        # Before the flush: what is committed during it waits for the next one.
        self.is_due = False
        try:
            offload(os.fdatasync, self._data)
        except OSError as error:
            self.is_due = True
            log.error("cannot flush the store at %s: %s", self._path, error)

    def close(self) -> None:
        """Stop the thread and flush a last time."""
        self._closing.set()
        self._thread.join()
        self._flush()
        os.close(self._data)


class LmdbEnvironment:
    """An LMDB directory shared by processes and threads, growing as needed.

    Args:
        path: The directory; created with mode 0700 if missing.
        map_bytes: Size of the address range the file is mapped to, to begin with.
            It is no file size: the file grows as entries come.
        max_map_bytes: Size beyond which the map does not grow.
        databases: Names of the databases to open.
        durable: Whether a commit waits until it is on the disk.

    Attributes:
        databases: The databases, in the order of their names.
        page_bytes: Size of a page.
        identity: Whether the file is still the one that was opened.

    Raises:
        ValueError: The directory cannot be created, written or opened.
    """

    def __init__(
        self,
        path: Path,
        map_bytes: int,
        max_map_bytes: int,
        databases: list[bytes],
        *,
        durable: bool = False,
    ) -> None:
        self._path = path
        self._max_map_bytes = max_map_bytes
        # Growing the map needs a moment without transactions in this process, so
        # each transaction holds one of these; in the order writing, reading.
        # Only a durable commit gives way to other requests while it writes.
        self._writing = threading.Lock() if durable else make_brief_lock()
        self._reading = make_brief_lock()
        self._is_closed = False
        self._env, self._file, self.databases = open_environment(
            path, map_bytes, databases, durable
        )
        self.page_bytes: int = self._env.stat()["psize"]
        self.identity = LmdbIdentity(path)
        self._flusher = LmdbFlusher(path / DATA, self.identity)
        self._is_durable = durable

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """Return what `work` returns in a read transaction.

        Raises:
            StoreUnavailable: LMDB cannot read; the log says why.
        """
        if not self.identity.is_intact:
            raise store_replaced(self._path)
        while True:
            try:
                with self._reading, self._env.begin() as txn:
                    return work(txn)
            except lmdb.MapResizedError:
                with self._writing:
                    self._adopt()
            except lmdb.Error as error:
                raise translate(error, self._path) from error

    def write(self, work: Callable[[WriteTransaction], T]) -> T:
        """Return what `work` returns in a write transaction; it may be run again.

        Raises:
            StoreFull: The disk or the map is full; nothing was stored.
            StoreUnavailable: LMDB cannot write; the log says why.
        """
        if not self.identity.is_intact:
            raise store_replaced(self._path)
        with self._writing:
            try:
                return self._attempt(work)
            except StoreFull:
                # A page is free for use in the second transaction after the one that
                # freed it, and a failed one does not count: without a small one in
                # between, a full store would stay full whatever was deleted.
                self._attempt(_turn)
                return self._attempt(work)

    def count_file_pages(self) -> int:
        """Count the pages of the file, used or free, as last committed."""
        last_page: int = self._env.info()["last_pgno"]
        return last_page + 1

    def _attempt(self, work: Callable[[WriteTransaction], T]) -> T:
        while True:
            try:
                if self._is_durable:  # an fsync would hold up the event loop
                    stored: T = offload(self._transact, work)
                    return stored
                with self._env.begin(write=True, buffers=True) as txn:
                    result = work(txn)
                self._flusher.is_due = True
                return result
            except lmdb.MapFullError as error:
                self._grow(error)
            except lmdb.MapResizedError:
                self._adopt()
            except lmdb.Error as error:
                raise translate(error, self._path) from error

    def _transact(self, work: Callable[[WriteTransaction], T]) -> T:
        with self._env.begin(write=True, buffers=True) as txn:
            return work(txn)

    def _grow(self, error: lmdb.Error) -> None:
        map_bytes = self._env.info()["map_size"]
        if map_bytes >= self._max_map_bytes:
            raise store_full(f"its limit of {self._max_map_bytes} bytes") from error
        if self._file is None:
            self._resize(min(2 * map_bytes, self._max_map_bytes))
        else:
            self._extend(self._file, map_bytes)

    def _extend(self, file: LmdbFile, map_bytes: int) -> None:
        """Make the file and the map longer, unless another process has."""
        with file.lock(), refuse_without_room():
            size = file.fill()
            if size <= map_bytes:
                size = file.extend(size, self._max_map_bytes)
            self._resize(size)

    def _adopt(self) -> None:
        with refuse_without_room():
            adopt_size(self._file, self._resize)

    def _resize(self, map_bytes: int) -> None:
        with self._reading:
            self._env.set_mapsize(map_bytes)

    def close(self) -> None:
        """Flush, and release the directory; closing twice is harmless."""
        if not self._is_closed:
            self._is_closed = True
            # Gives way to requests, so it runs after the locks are released.
            self._flusher.close()
            with self._writing, self._reading:
                self._env.close()


def _turn(txn: WriteTransaction) -> None:
    txn.put(b"turn", b"")
