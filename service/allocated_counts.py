"""The client library's mapped counts, in files with space allocated first.

Its own files are sparse: on a full disk the first count beyond what the disk has ends
the worker. Here a worker without room counts in its own memory, and says so once.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
from collections.abc import Container
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from service.metrics_folder import find_folder
from service.runs import NOW, lock_folder

FIRST_BYTES = 1 << 16
# Added up where a worker has ended; a gauge has no worth without its worker.
ADDED = ("counter", "histogram")
log = logging.getLogger(__name__)


class AllocatedDict(MmapedDict):
    """Counts of this worker, on disk where there is room."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            with open(filename, "a+b") as file:
                size = max(FIRST_BYTES, os.fstat(file.fileno()).st_size)
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            log.error("%s: %s; this worker counts alone", filename, error.strerror)
            Path(filename).unlink(missing_ok=True)
            filename = f"/proc/self/fd/{os.memfd_create('counts')}"
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        # The library's own form of an entry: at most so much beside the key.
        needed = self._used + len(key.encode()) + 32
        if needed > self._capacity:
            self._allocate(max(2 * self._capacity, needed))
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _allocate(self, size: int) -> None:
        """Grow on disk, or continue in memory."""
        try:
            os.posix_fallocate(self._f.fileno(), 0, size)
        except OSError as error:
            log.error("%s: %s; this worker counts alone", self._fname, error.strerror)
            kept = self._m[:]
            self._f.close()
            self._f = os.fdopen(os.memfd_create("counts"), "r+b")
            self._f.write(kept)
            self._f.truncate(size)
        self._capacity = size
        self._m = mmap.mmap(self._f.fileno(), size)


def allocate_counts() -> None:
    """Have the library count in allocated files; before the first metric is made."""
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]


def add_ended(living: Container[int]) -> None:
    """Add the counts of ended workers to one file of them all, and drop theirs.

    Args:
        living: Process numbers of the workers. What could not be added before, for
            want of room or because it was being read, is added with the next.
    """
    if (folder := find_folder()) is None:
        return
    with contextlib.suppress(BlockingIOError), lock_folder(folder, NOW):
        for file in folder.glob("*_[0-9]*.db"):
            kind, pid = file.stem.rsplit("_", 1)
            if int(pid) in living:
                continue
            if kind in ADDED:
                add_counts(file, folder / f"{kind}_ended.db")
            else:
                file.unlink()


def add_counts(file: Path, total: Path) -> None:
    """Add a file of counts to another, and drop it; left where there is no room."""
    beside = total.with_suffix(".partial")
    try:
        content = total.read_bytes() if total.exists() else b""
        beside.write_bytes(content)
        sums: Any = AllocatedDict(str(beside))
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
            sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
        sums.close()
        os.replace(beside, total)
        file.unlink()
    except (OSError, RuntimeError, ValueError) as error:
        log.error("%s cannot be added to %s: %s", file, total, error)
        beside.unlink(missing_ok=True)
