"""The client library's counts, in the process's memory, written to its files whole.

The library maps its files: a full disk, or a file that something cut short, ends the
worker at its next count. Here a worker counts in its own memory and replaces its files
a few times a second; what cannot be written now is written with what follows.
"""

from __future__ import annotations

import contextlib
import json
import logging
import struct
import threading
from collections.abc import Container, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import multiprocess, values
from prometheus_client.mmap_dict import MmapedDict

from service.common.files import replace_file
from service.common.loop import offload
from service.common.runs import NOW, find_metrics_folder, lock_folder

# Bytes of a file without counts: how many are used, in the library's form.
HEADER_BYTES = 8
GROWTH_BYTES = 1 << 16
# Added up where a worker has ended; a gauge has no worth without its worker.
ADDED = ("counter", "histogram")
log = logging.getLogger(__name__)


class WrittenDict(MmapedDict):
    """Counts of this worker, kept in memory and written to a file when asked.

    Attributes:
        file: The file.
        is_failing: Whether it could not be written the last time.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        # Not the library's own: it maps the file.
        self.file = Path(filename)
        self._positions: dict[str, int] = {}
        self._used = HEADER_BYTES
        self._m: Any = bytearray(struct.pack("ii", self._used, 0))
        self._capacity = len(self._m)
        self.is_failing = False
        for key, value, stamp, _ in self.read_all_values_from_file(filename):
            self.write_value(key, value, stamp)  # type: ignore[no-untyped-call]
        _written.append(self)

    @staticmethod
    def read_all_values_from_file(
        filename: str,
    ) -> Iterator[tuple[str, float, float, int]]:
        """Read a file; one that is not whole has no counts until it is replaced."""
        try:
            found = list(MmapedDict.read_all_values_from_file(filename))
            for key, _, _, _ in found:
                json.loads(key)
        except FileNotFoundError:
            return iter(())
        except (OSError, ValueError, RuntimeError, struct.error) as error:
            log.warning("%s cannot be read: %s", filename, error)
            return iter(())
        return iter(found)

    def _init_value(self, key: str) -> None:
        # The library's own form of an entry: at most this much on top of the key.
        if self._used + len(key.encode()) + 32 > self._capacity:
            self._m.extend(bytes(len(key.encode()) + GROWTH_BYTES))
            self._capacity = len(self._m)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def copy_counts(self) -> bytes:
        """Return what the file is to hold."""
        return bytes(self._m[: self._used])

    def write(self) -> None:
        """Replace the file.

        Raises:
            OSError: There is no room for it.
        """
        write_file(self.file, self.copy_counts())

    def note(self, error: OSError | None) -> None:
        """Note whether the file was replaced; where not, the next time may do it."""
        if error is not None and not self.is_failing:
            log.error("%s: %s; this worker counts alone", self.file, error.strerror)
        self.is_failing = error is not None

    def close(self) -> None:
        """Write no more."""
        _written.remove(self)


# Of this process.
_written: list[WrittenDict] = []


def write_counts() -> None:
    """Write what this process has counted, where the others read it.

    Not in the event loop: a file system makes who creates a file wait for others.
    """
    with find_lock():
        written = list(_written)
        contents = [(counts.file, counts.copy_counts()) for counts in written]
        errors = offload(write_files, contents)
        for counts, error in zip(written, errors, strict=True):
            counts.note(error)


@cache
def find_lock() -> threading.Lock:
    """Return the lock of those who write; made late, for gevent replaces its class."""
    return threading.Lock()


def write_files(contents: Sequence[tuple[Path, bytes]]) -> list[OSError | None]:
    """Replace files; return why each was not replaced."""
    errors: list[OSError | None] = []
    for file, content in contents:
        try:
            write_file(file, content)
        except OSError as error:
            errors.append(error)
        else:
            errors.append(None)
    return errors


def write_file(file: Path, content: bytes) -> None:
    """Replace a file of counts, whatever happened to it and its folder."""
    try:
        replace_file(file, content, sync=False)
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, content, sync=False)


def counts_alone() -> bool:
    """Return whether what this process has counted could not be written for others."""
    return any(counts.is_failing for counts in _written)


def replace_library_files() -> None:
    """Have the library count in such files; before the first metric is made."""
    values.MmapedDict = WrittenDict  # type: ignore[attr-defined]
    multiprocess.MmapedDict = WrittenDict  # type: ignore[attr-defined]


def add_ended(living: Container[int]) -> None:
    """Add the counts of ended workers to one file of them all, and drop theirs.

    Args:
        living: Process numbers of the workers. What could not be added before, for
            want of room or because it was being read, is added with the next.
    """
    if (folder := find_metrics_folder()) is None:
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
    sums: Any = WrittenDict(str(total))
    try:
        for key, value, _, _ in WrittenDict.read_all_values_from_file(str(file)):
            sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
        sums.write()
        file.unlink()
    except OSError as error:
        log.error("%s cannot be added to %s: %s", file, total, error)
    finally:
        sums.close()
