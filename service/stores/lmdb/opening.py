"""Opening of an LMDB directory: marked, mapped, of its former length, of one format.

It does not know what is stored, nor what happens to the environment afterwards.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lmdb

from service.stores.lmdb.file import ADVICE, LmdbFile, writes_in_place
from service.stores.lmdb.identity import DATA, check_mark, check_new, write_marks

log = logging.getLogger(__name__)

# A process uses one slot at a time; 64 bytes each. The first process to open the
# directory decides for all, so there is room for many workers and their successors.
MAX_READERS = 1024
# In the main database, next to the names of the others; raised when their form changes.
FORMAT_KEY, FORMAT = b"format", b"2"


def open_environment(
    path: Path, map_bytes: int, names: list[bytes], durable: bool
) -> tuple[lmdb.Environment, LmdbFile | None, list[lmdb._Database]]:
    """Open a directory, or make one.

    Args:
        path: The directory.
        map_bytes: Size of the map to begin with.
        names: Of the databases to open.
        durable: Whether a commit waits until it is on the disk.

    Returns:
        The environment, its file where it is written through the map, and the
        databases.

    Raises:
        ValueError: The directory cannot be created, written or opened.
    """
    try:
        check_mark(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        env, file = _open_map(path, map_bytes, len(names), durable)
        env.reader_check()
        databases = _open_databases(env, file, path, names)
        write_marks(path)
        return env, file, databases
    except (OSError, lmdb.Error) as error:
        raise ValueError(
            f"The memory store lmdb://{path} cannot be opened: {error}. Expected a "
            "directory on a local disk that this process may write, opened once. "
            f"Where its file is damaged: {ADVICE}"
        ) from error


def _open_map(
    path: Path, map_bytes: int, num_databases: int, durable: bool
) -> tuple[lmdb.Environment, LmdbFile | None]:
    file = LmdbFile(path / DATA, map_bytes)
    make = partial(_make, path, num_databases, durable)
    size = file.measure()
    if not durable and writes_in_place(path):
        with file.lock():
            size = file.measure()
            for wanted in file.list_sizes():
                env = make(wanted, writemap=True)
                if _fill(file, env):
                    _warn_if_shortened(env, path, size)
                    return env, file
        log.warning(
            "the disk of the memory store at %s has no room to write through a map; "
            "steps take longer until the service is started again",
            path,
        )
    env = make(map_bytes, writemap=False)
    if _warn_if_shortened(env, path, size):
        _lengthen(env, path)
    return env, None


def _make(
    path: Path, num_databases: int, durable: bool, map_bytes: int, writemap: bool
) -> lmdb.Environment:
    try:
        return lmdb.open(
            str(path),
            map_size=map_bytes,
            max_dbs=num_databases,
            max_readers=MAX_READERS,
            max_spare_txns=1,
            mode=0o600,
            metasync=durable,
            sync=durable,
            writemap=writemap,
        )
    except lmdb.MapResizedError:  # another process grew the map this very moment
        return _make(path, num_databases, durable, map_bytes, writemap)


def _fill(file: LmdbFile, env: lmdb.Environment) -> bool:
    """Give a file that was just mapped its blocks; else close it and return False."""
    try:
        file.fill()
    except OSError as error:
        log.info("no room for the map of the memory store: %s", error)
        env.close()
        return False
    return True


def _warn_if_shortened(env: lmdb.Environment, path: Path, size: int) -> bool:
    """Say so where the file was shorter than its pages when it was opened."""
    expected = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    # A new file has its first pages since it was opened.
    is_shortened = 0 < size < expected
    if is_shortened:
        log.warning("%s has %d bytes of %d", path / DATA, size, expected)
    return is_shortened


def _lengthen(env: lmdb.Environment, path: Path) -> None:
    """Make a truncated file as long as it was, so that what is lost can be refused.

    Reading a mapped page beyond the end of a file kills the process; a page of zeros is
    an error. Never shortens the file, whatever other processes do meanwhile.
    """
    expected = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    with (path / DATA).open("r+b") as data:
        size = os.fstat(data.fileno()).st_size
        if size < expected:
            os.posix_fallocate(data.fileno(), size, expected - size)


def _open_databases(
    env: lmdb.Environment, file: LmdbFile | None, path: Path, names: list[bytes]
) -> list[lmdb._Database]:
    """Open the databases and check the format, although the map may grow meanwhile."""
    while True:
        try:
            databases = [env.open_db(name) for name in names]
            check_format(env, path)
            return databases
        except lmdb.MapResizedError:
            adopt_size(file, env.set_mapsize)


def adopt_size(file: LmdbFile | None, resize: Callable[[int], None]) -> None:
    """Map what another process has made longer.

    Args:
        file: The environment's, where it is written through the map.
        resize: Maps this many bytes; 0 for as many as the other process wrote down.

    Raises:
        OSError: The disk has no room for a part of the file.
    """
    if file is None:
        resize(0)
        return
    with file.lock():
        resize(file.fill())


def check_format(env: lmdb.Environment, path: Path) -> None:
    """Refuse a directory that another release wrote in another way.

    Raises:
        ValueError: Another release wrote it, or it is new where a store was made.
    """
    with env.begin(write=True) as txn:
        is_empty = txn.stat(env.open_db(b"entries", txn))["entries"] == 0
        found = txn.get(FORMAT_KEY) or (FORMAT if is_empty else b"1")
        if is_empty and not txn.get(FORMAT_KEY):
            check_new(path)
        if found != FORMAT:
            raise ValueError(
                f"The memory store lmdb://{path} has format {found.decode()}; expected "
                f"{FORMAT.decode()}. Use the release that wrote it, or another path."
            )
        txn.put(FORMAT_KEY, FORMAT)
