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
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
