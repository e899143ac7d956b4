"""The file that a store writes through its map: it has its blocks before they are used.

A write through a map that finds no block on a full disk kills the process (SIGBUS). So
the file is allocated first, and the map is just as long as the file. LMDB shortens a
file to the map it is opened with: one lock for all processes, taken while a map is made
or made longer, keeps anybody from mapping less than there is.

It knows neither transactions nor what is stored.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from service.errors import StoreFull, StoreUnavailable

# On these a block that a file has is written in place. Others may copy it first, which
# needs another block: btrfs and zfs always, xfs after `cp`, an overlay the first time.
IN_PLACE = ("ext3", "ext4", "tmpfs")
MOUNTS = Path("/proc/self/mountinfo")
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
# The file grows by an eighth, at least by the first and at most by the second.
STEP_BYTES, MAX_STEP_BYTES = 16 << 20, 1 << 30
GROWTH = 8
# Sizes are whole units of this, a multiple of every size of pages.
UNIT_BYTES = 1 << 16
log = logging.getLogger(__name__)

DAMAGED = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError)
ADVICE = (
    "Stop the service and run: python -m service check-store --copy-to PATH "
    "(docs/how-to/stores.md, Damage to the file)."
)
# Where this much has no room, a failed write is taken to have had no room either.
PROBE_BYTES = 1 << 20


def writes_in_place(path: Path) -> bool:
    """Return whether a block that a file in this directory has is never copied."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    kinds = [each[each.index("-") + 1] for each in mounts if each[2] == number]
    return bool(kinds) and kinds[-1] in IN_PLACE


class LmdbFile:
    """The data file of one directory, as long as its map.

    Args:
        path: The file; it may be missing.
        step: Bytes by which it grows at least.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._step = max(UNIT_BYTES, min(step, STEP_BYTES))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of all processes that make maps of this file."""
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def list_sizes(self) -> list[int]:
        """List sizes to open the file with, the most wanted first.

        None is shorter than the file. One that was not written through a map gets a
        step more, because a process that still appends to it holds no lock.
        """
        size = self.measure()
        is_mapped = size >= self._step and size % UNIT_BYTES == 0
        steps = [] if is_mapped else list(_halve(self._step))
        longer = [-(-size // UNIT_BYTES) * UNIT_BYTES + step for step in steps]
        return [*longer, size] if size else steps

    def fill(self) -> int:
        """Give the file every block up to its end; return its size.

        Raises:
            OSError: The disk has no room for a part that has none.
        """
        size = self.measure()
        self._allocate(0, size)
        return size

    def extend(self, size: int, max_bytes: int) -> int:
        """Make a file of this size a step longer, or what the disk has room for.

        Returns:
            Its size then.

        Raises:
            OSError: The disk has no room, or `max_bytes` are reached.
        """
        wanted = max(self._step, min(size // GROWTH, MAX_STEP_BYTES))
        for step in _halve(min(wanted, max_bytes - size)):
            try:
                self._allocate(size, step)
            except OSError as error:
                if error.errno not in FULL_DISK:
                    raise
            else:
                return size + step
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def measure(self) -> int:
        """Return the file's size in whole pages, 0 for a missing file."""
        size = self._path.stat().st_size if self._path.exists() else 0
        return size // mmap.PAGESIZE * mmap.PAGESIZE

    def _allocate(self, start: int, length: int) -> None:
        if length > 0:
            with self._path.open("r+b") as data:
                os.posix_fallocate(data.fileno(), start, length)


def _halve(step: int) -> Iterator[int]:
    """Give a step in whole units, then half of it, down to one unit."""
    while step >= UNIT_BYTES:
        yield step // UNIT_BYTES * UNIT_BYTES
        step //= 2


def translate(error: lmdb.Error, path: Path) -> StoreFull | StoreUnavailable:
    """Return the store's error for one of LMDB's; log those that callers cannot fix.

    Args:
        error: LMDB's.
        path: Directory of the store.
    """
    # A write that fits in part is a bare EIO in LMDB, as is a broken disk.
    if error.code in FULL_DISK or (error.code == errno.EIO and _is_full(path)):
        return store_full("the end of its disk")
    log.error("the memory store at %s cannot be used: %s", path, error)
    if isinstance(error, DAMAGED):
        log.error("the memory store at %s is damaged. %s", path, ADVICE)
    return StoreUnavailable(
        "the memory store cannot be read or written now; nothing was stored. Try again "
        "later; if it stays so, the service's log says why."
    )


@contextmanager
def refuse_without_room() -> Iterator[None]:
    """Raise StoreFull where the file cannot be made longer.

    Raises:
        StoreFull: The disk or the user's share of it is full.
        OSError: The work failed for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise store_full("the end of its disk") from error


def _is_full(path: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=path) as probe:
            os.posix_fallocate(probe.fileno(), 0, PROBE_BYTES)
    except OSError as error:
        return error.errno in FULL_DISK
    return False


def store_replaced(path: Path) -> StoreUnavailable:
    """Return the error of a store that lost the file at its path."""
    return StoreUnavailable(
        f"the memory store at {path} was deleted or replaced while the service runs; "
        "nothing was read or stored. Move it back, or restore a backup and restart the "
        "service."
    )


def store_full(what: str) -> StoreFull:
    """Return the error of a store that has reached what cannot be passed."""
    return StoreFull(
        f"the memory store has reached {what}. Nothing was stored, and what was stored "
        "before is intact. Room comes back when sessions have been gone, expired or "
        "deleted, for CARRYOVER_TOMBSTONE_SECONDS: delete sessions and make that "
        "smaller, or give the store a larger disk."
    )
