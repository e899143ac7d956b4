"""Translation of LMDB's errors: the store is full, or it cannot be used now.

It does not know what was being read or written.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from service.errors import StoreFull, StoreUnavailable
from service.stores.lmdb.file import FULL_DISK

log = logging.getLogger(__name__)

DAMAGED = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError)
ADVICE = (
    "Stop the service and run: python -m service check-store --copy-to PATH "
    "(docs/how-to/stores.md, Damage to the file)."
)
# Where this much has no room, a failed write is taken to have had no room either.
PROBE_BYTES = 1 << 20


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
    """Raise StoreFull where the file cannot be made longer."""
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
