"""Publish a version: `artifacts/<name>/<number>/` appears whole or not at all.

A version is written in a hidden folder next to it, flushed to disk and renamed. So a
listing of the versions, after a loss of power too, has all of it or nothing.
Does not know what a version holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = re.compile(r"[1-9][0-9]*")
PARTIAL = ".*.partial"
# What rename says when the number was taken meanwhile.
TAKEN = {errno.ENOTEMPTY, errno.EEXIST}


def list_versions(folder: Path) -> list[int]:
    """Return the numbers of the published versions, in order."""
    if not folder.is_dir():
        return []
    return sorted(
        int(path.name)
        for path in folder.iterdir()
        if VERSION.fullmatch(path.name) and path.is_dir()
    )


def publish_version(
    folder: Path, fill: Callable[[Path], None], seal: Callable[[Path, int], None]
) -> Path:
    """Publish a new version, one above the highest.

    Args:
        folder: `artifacts/<name>`; created if missing.
        fill: Writes the version's content to a path that does not exist yet.
        seal: Adds to that path what depends on the version's number; called again with
            the next one where another process took the number first.

    Returns:
        The path of the version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    with create_partial(folder) as partial:
        content = partial / "version"
        fill(content)
        while True:
            number = max(list_versions(folder), default=0) + 1
            seal(content, number)
            flush_tree(content)
            if rename_unless_taken(content, folder / str(number)):
                flush(folder)
                return folder / str(number)


def rename_unless_taken(content: Path, target: Path) -> bool:
    """Rename a folder; false where a folder with content already has that name."""
    try:
        content.rename(target)
    except OSError as error:
        if error.errno in TAKEN:
            return False
        raise
    return True


@contextmanager
def create_partial(folder: Path) -> Iterator[Path]:
    """Create a hidden folder, locked for as long as this process lives.

    The lock, not the process id in the name, distinguishes the living from the dead: in
    containers that share a volume, many a process is number 1.
    """
    lock = None
    while lock is None:
        number = max(list_versions(folder), default=0) + 1
        unique = f"{os.getpid()}-{secrets.token_hex(4)}"
        partial = folder / f".{number}.{unique}.partial"
        partial.mkdir()
        lock = lock_unless_removed(partial)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def lock_unless_removed(partial: Path) -> int | None:
    """Lock a new folder; None where another's clean-up was there first."""
    try:
        lock = os.open(partial, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if partial.exists():
        return lock
    os.close(lock)
    return None


def remove_leftovers(folder: Path) -> None:
    """Remove the hidden folders of processes that died while writing."""
    for partial in folder.glob(PARTIAL):
        try:
            lock = os.open(partial, os.O_RDONLY)
        except FileNotFoundError:
            continue  # its process has just finished
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial, ignore_errors=True)
        except BlockingIOError:
            pass  # its process lives
        finally:
            os.close(lock)


def flush_tree(folder: Path) -> None:
    """Force every file and folder to disk, children first."""
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            flush(Path(root) / name)
        flush(Path(root))


def flush(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
