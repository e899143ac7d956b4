"""Command that checks an LMDB store, and copies what can be read into a new one.

It does not repair a file in place, and does not read one that a service has open.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from service.errors import CorruptRecord
from service.sessions.record import decode
from service.stores.lmdb.reader import Item, LmdbReader, Lost, UnreadableError
from service.stores.lmdb.store import HEADER, LmdbStore, Raw, read_header

BATCH = 1_000


class Report(NamedTuple):
    """Report of a check: entries read, entries expected, and the losses."""

    num_read: int
    num_expected: int
    losses: list[str]


def find_path(url: str) -> Path:
    """Return the directory of an `lmdb://` address.

    Raises:
        ValueError: It is the address of another store.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "lmdb" or not rest:
        raise ValueError(
            f"CARRYOVER_MEMORY is a {scheme}:// store; expected lmdb://PATH. Only an "
            "LMDB store is a file that can be checked."
        )
    return Path(rest.partition("?")[0])


def check_store(path: Path, copy_to: Path | None) -> Report:
    """Read every entry of a store, and copy those that are whole.

    Args:
        path: Directory of the store; no process may have it open.
        copy_to: Directory of the new store; None for a check only.

    Raises:
        ValueError: The store is open or cannot be read at all, or the target exists.
    """
    if copy_to is not None and copy_to.exists():
        raise ValueError(f"{copy_to} exists; expected a new directory. Choose another.")
    with (path / "data.mdb").open("rb"):
        _check_unused(path)
    reader = LmdbReader(path / "data.mdb")
    try:
        database = reader.find(b"entries")
        losses: list[str] = []
        whole = _read_whole(reader.read(database), losses)
        if copy_to is None:
            return Report(sum(1 for _ in whole), database.num_entries, losses)
        return Report(_copy(whole, copy_to), database.num_entries, losses)
    except UnreadableError as error:
        raise ValueError(
            f"the store at {path} cannot be read: {error}. Restore it from a backup."
        ) from None
    finally:
        reader.close()


def _check_unused(path: Path) -> None:
    """Refuse a store that is open: LMDB locks the first byte of its lock file."""
    lock = path / "lock.mdb"
    if not lock.exists():
        return
    with lock.open("r+b") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except OSError:
            raise ValueError(
                f"the store at {path} is open in another process; expected none. Stop "
                "the service first."
            ) from None


def _read_whole(found: Iterator[Item | Lost], losses: list[str]) -> Iterator[Raw]:
    for one in found:
        if isinstance(one, Lost):
            losses.append(_describe(one))
            continue
        version, forget_at, _, checksum = read_header(one.value)
        value = one.value[HEADER.size :]
        if checksum == crc32(one.key) and _is_record(value):
            yield Raw(one.key, version, forget_at, value)
        else:
            losses.append(f"{show_key(one.key)}: its record is damaged")


def _is_record(value: bytes) -> bool:
    try:
        decode(value)
    except CorruptRecord:
        return False
    return True


def _copy(whole: Iterator[Raw], copy_to: Path) -> int:
    store = LmdbStore(copy_to, durable=True)
    count = 0
    batch: list[Raw] = []
    try:
        for entry in whole:
            batch.append(entry)
            if len(batch) == BATCH:
                store.restore(batch)
                count, batch = count + BATCH, []
        store.restore(batch)
        return count + len(batch)
    finally:
        store.close()


def _describe(lost: Lost) -> str:
    if lost.end == lost.first + b"\0":
        return f"{show_key(lost.first)}: {lost.reason}"
    first = show_key(lost.first) if lost.first else "the first"
    end = "the last" if lost.end is None else f"before {show_key(lost.end)}"
    return f"from {first} to {end}: {lost.reason}"


def show_key(key: bytes) -> str:
    """Write a key as tenant, model and session."""
    parts = key.decode(errors="backslashreplace").split("\0")
    names = zip(("tenant", "model", "session"), parts, strict=False)
    return " ".join(f"{name} {part!r}" for name, part in names)


def print_report(
    report: Report, copy_to: Path | None, write: Callable[[str], None]
) -> int:
    """Print what was read and what is lost; return the command's status."""
    for loss in report.losses:
        write(f"lost: {loss}")
    write(f"{report.num_read} of {report.num_expected} sessions can be read")
    if copy_to is not None:
        write(f"copied to {copy_to}; move it to the store's path before the start")
    return 1 if report.losses or report.num_read < report.num_expected else 0
