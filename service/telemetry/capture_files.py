"""Files of captured events: JSON Lines, written by one process, rotated, bounded.

A file has its final name only when it is complete. Until then it is a hidden, locked
`.partial`; the next process completes what a killed one left, up to the last whole
line. Where the folder has no room, the oldest complete files are deleted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".jsonl"
PARTIAL = ".partial"
READ_BYTES = 1 << 16
log = logging.getLogger(__name__)


class CaptureBounds(NamedTuple):
    """Limits of capture files: size and age of one, size of all.

    Args:
        file_bytes: Size of a file, unless its only row is longer.
        file_seconds: Age at which a file is completed.
        max_bytes: Size of the folder.
    """

    file_bytes: int
    file_seconds: float
    max_bytes: int


class CaptureFiles:
    """Writes lines to a folder for each model.

    Args:
        folder: Where the models' folders are.
        bounds: How large and old files become.
        monotonic: Seconds, by which files age: the wall clock may step.
    """

    def __init__(
        self,
        folder: Path,
        bounds: CaptureBounds,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._bounds = bounds
        self._monotonic = monotonic
        self._open: dict[str, PartialFile] = {}

    def write(self, model: str, rows: Sequence[bytes]) -> None:
        """Append the lines of rows.

        Raises:
            OSError: They cannot be written; the file ends where it did before.
        """
        for chunk in divide(rows, self._bounds.file_bytes):
            file = self._open.get(model)
            if file and not file.is_linked():
                self._complete(model)
                file = None
            if file and file.size + len(chunk) > self._bounds.file_bytes:
                self._complete(model)
                file = None
            if file is None:
                file = self._open[model] = self._start(self._folder / model)
            try:
                file.append(chunk)
            except OSError:
                if not file.is_whole:
                    self._complete(model)
                raise

    def _start(self, folder: Path) -> PartialFile:
        folder.mkdir(parents=True, exist_ok=True)
        self._make_room(folder)
        return PartialFile(folder, self._monotonic())

    def _make_room(self, folder: Path) -> None:
        """Delete the oldest complete files until another file has room.

        Files that are being written count with the size they may reach.

        Raises:
            OSError: There is no room without them.
        """
        sizes = dict(list_sizes(self._folder))
        partial = sum(path.name.endswith(PARTIAL) for path in sizes)
        complete = sorted(p for p in sizes if not p.name.endswith(PARTIAL))
        complete.sort(key=lambda path: path.name)
        room = self._bounds.max_bytes - (partial + 1) * self._bounds.file_bytes
        total = sum(sizes[path] for path in complete)
        for path in complete:
            if total <= room:
                break
            path.unlink(missing_ok=True)
            total -= sizes[path]
        if total > room:
            raise OSError(
                f"{folder} has no room: {partial} files are being written, and "
                f"CARRYOVER_CAPTURE_MAX_BYTES is {self._bounds.max_bytes}"
            )

    def complete_old(self) -> None:
        """Complete the files that have reached their age."""
        oldest = self._monotonic() - self._bounds.file_seconds
        for model, file in list(self._open.items()):
            if file.began <= oldest:
                self._complete(model)

    def complete_all(self) -> None:
        """Complete all files."""
        for model in list(self._open):
            self._complete(model)

    def _complete(self, model: str) -> None:
        try:
            self._open.pop(model).complete()
        except FileNotFoundError:
            log.error("a file of captured events of %s was deleted", model)
        except OSError as error:  # the next process completes it
            log.warning("captured events of %s wait: %s", model, error)

    def recover(self) -> None:
        """Complete the files that ended processes left."""
        for partial in self._folder.glob(f"*/.*{PARTIAL}"):
            try:
                recover_file(partial)
            except OSError as error:
                log.warning("%s cannot be completed: %s", partial, error)


class PartialFile:
    """A file that is being written.

    Args:
        folder: Where it is.
        began: When it was started.

    Attributes:
        size: Of its whole lines, in bytes.
        is_whole: Whether nothing follows them.
    """

    def __init__(self, folder: Path, began: float) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._final = folder / f"{stamp}-{secrets.token_hex(4)}{SUFFIX}"
        self._partial = folder / f".{self._final.name}{PARTIAL}"
        self.began = began
        self.size = 0
        self.is_whole = True
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._partial, flags, 0o600)
        # Free unless another process looks at the empty file just now.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if not self._partial.exists():
            os.close(self._descriptor)
            raise OSError(f"{self._partial} was removed")

    def is_linked(self) -> bool:
        """Return whether it still has a name; what is written is lost without one."""
        return os.fstat(self._descriptor).st_nlink > 0

    def append(self, content: bytes) -> None:
        """Append whole lines, or nothing.

        Raises:
            OSError: There is no room.
        """
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self.is_whole = False
            os.ftruncate(self._descriptor, self.size)
            self.is_whole = True
            raise
        self.size += len(content)

    def complete(self) -> None:
        """Give it its final name.

        Raises:
            OSError: It keeps the partial name.
        """
        try:
            if not self.is_whole:
                os.ftruncate(self._descriptor, self.size)
            os.fsync(self._descriptor)
            if self.size:
                self._partial.rename(self._final)
            else:
                self._partial.unlink()
        finally:
            os.close(self._descriptor)


def divide(rows: Sequence[bytes], most: int) -> Iterator[bytes]:
    """Join rows to pieces of a size, unless a row is longer."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        if part and size + len(row) > most:
            yield b"".join(part)
            part, size = [], 0
        part.append(row)
        size += len(row)
    if part:
        yield b"".join(part)


def list_sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    """List the captured files with their sizes, without those deleted meanwhile.

    A folder, pipe or link with such a name is not the service's.
    """
    for path in folder.glob("*/*"):
        if path.suffix in (SUFFIX, PARTIAL):
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def recover_file(partial: Path) -> None:
    """Complete a file that no process writes, up to its last whole line.

    Raises:
        OSError: It cannot be read or renamed.
    """
    descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        size = find_last_line(descriptor)
        os.ftruncate(descriptor, size)
        if size:
            final = partial.name.removeprefix(".").removesuffix(PARTIAL)
            partial.rename(partial.with_name(final))
        else:
            partial.unlink()
    finally:
        os.close(descriptor)


def find_last_line(descriptor: int) -> int:
    """Return where the last whole line of a file ends."""
    stop = os.fstat(descriptor).st_size
    while stop:
        start = max(0, stop - READ_BYTES)
        found = os.pread(descriptor, stop - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0
