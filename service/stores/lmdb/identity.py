"""Identity of an LMDB store's file: a mark that it was made, a watch that it stays.

A missing or empty file would silently begin another store. A file that is deleted or
replaced under a running service would be two stores, the old one until its worker ends.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

DATA = "data.mdb"
MARK = "store.mark"
MARK_SUFFIX = ".mark"
MARK_MODE = 0o600
MARK_TEXT = """\
A memory store was made here. If its data.mdb is missing or empty, the service does not
begin another. Restore it, or delete this file to begin without sessions.
"""


def list_marks(path: Path) -> list[Path]:
    """List where a store's marks are: in its directory, and next to it.

    The directory may be deleted; what is next to it is another disk where the directory
    is a mount.
    """
    return [path / MARK, path.with_name(path.name + MARK_SUFFIX)]


def check_mark(path: Path) -> None:
    """Refuse to begin a store where one was made and is gone.

    Raises:
        ValueError: There is a mark, and no file or an empty one.
    """
    # Before the file: another process may create it and its marks between two looks.
    marks = _list_present(path)
    data = path / DATA
    if marks and not (data.exists() and data.stat().st_size):
        raise _refuse(path, "empty" if data.exists() else "missing", marks)


def check_new(path: Path) -> None:
    """Refuse a file that this process has just begun where a store was made.

    It was deleted after `check_mark` looked. Call it before anybody else can see that
    the file is a store, and so mark it.

    Raises:
        ValueError: There is a mark.
    """
    if marks := _list_present(path):
        raise _refuse(path, "missing", marks)


def _list_present(path: Path) -> list[Path]:
    return [mark for mark in list_marks(path) if mark.exists()]


def _refuse(path: Path, state: str, marks: list[Path]) -> ValueError:
    return ValueError(
        f"The memory store lmdb://{path} is {state}; expected the sessions that "
        f"were stored in {path / DATA}. Restore it from a backup. To begin without "
        f"them, delete {' and '.join(str(mark) for mark in marks)}."
    )


def write_marks(path: Path) -> None:
    """Mark that a store was made; one mark of two is enough."""
    for mark in list_marks(path):
        try:
            descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MARK_MODE)
        except FileExistsError:
            continue
        except OSError as error:
            log.info("no mark of the memory store at %s: %s", mark, error)
            continue
        with os.fdopen(descriptor, "w") as opened:
            opened.write(MARK_TEXT)


class LmdbIdentity:
    """Device and inode of a store's file, as it was opened.

    Attributes:
        is_intact: Whether it was still at its path when `check` last looked.

    Raises:
        ValueError: It was deleted since it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.is_intact = True
        self._file = path / DATA
        self._opened = self._identify()
        if self._opened is None:
            raise _refuse(path, "missing", _list_present(path))

    def check(self) -> None:
        """Look whether the path still leads to the file that was opened."""
        is_intact = self._identify() == self._opened
        if self.is_intact and not is_intact:
            log.error(
                "%s was deleted or replaced while the service runs; sessions answer "
                "503 until it is back. Restore it and restart the service",
                self._file,
            )
        elif is_intact and not self.is_intact:
            log.warning("%s is back", self._file)
        self.is_intact = is_intact

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino
