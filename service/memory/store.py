"""What a memory store is: versioned bytes by key, changed by compare-and-set.

It does not know what the bytes mean; `record` and `sessions` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

# LMDB takes keys of up to 511 bytes, and the expiry index prefixes 8. A round limit
# below that leaves room for what another store may have to add.
MAX_KEY_BYTES = 400


class Entry(NamedTuple):
    """A stored value and its version, which is 1 or more."""

    version: int
    value: bytes


class Put(NamedTuple):
    """A change to one key, made only if the key is still at the expected version.

    Attributes:
        key: 1 to `MAX_KEY_BYTES` bytes.
        expected: The version the writer read; 0 means the key must be absent.
        value: What to store.
        forget_at: When the store may drop the entry, in seconds since the epoch.
    """

    key: bytes
    expected: int
    value: bytes
    forget_at: float


class Store(Protocol):
    """Versioned values, safe to share between threads.

    A key's version grows by one with each commit until the entry is forgotten.
    """

    def fetch(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return each key's entry in one consistent snapshot; None where absent."""
        ...

    def commit(self, puts: Sequence[Put]) -> list[bool]:
        """Store, in one transaction, each put whose key is at the expected version.

        Returns:
            For each put, whether it was stored. One refused put spoils no other.

        Raises:
            ValueError: Two puts name the same key, or a key has a wrong length.
            StoreFull: There is no room; nothing of the batch was stored.
        """
        ...

    def scan(
        self, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, Entry]]:
        """Return up to `limit` entries of a prefix in byte order, after key `after`."""
        ...

    def forget(self, now: float, limit: int) -> int:
        """Delete up to `limit` entries whose `forget_at` <= `now`.

        Returns:
            How many were deleted; fewer than `limit` means that none is left due.
        """
        ...

    def count(self) -> int:
        """Return how many entries are stored."""
        ...

    def close(self) -> None:
        """Flush and release the store; closing twice is harmless."""
        ...


def open_store(url: str) -> Store:
    """Open the store a URL names.

    Args:
        url: `memory://` (this process only), `lmdb://relative/path` or
            `lmdb:///absolute/path` (a directory, created if missing).

    Raises:
        ValueError: The URL names no store, or the path cannot be used.
    """
    # Imported here because both modules import this one, and because a service
    # without LMDB can still remember in its own process.
    if url == "memory://":
        from service.memory.in_process import InProcessStore

        return InProcessStore()
    if url.startswith("lmdb://") and url != "lmdb://":
        from service.memory.lmdb_store import LmdbStore

        return LmdbStore(Path(url.removeprefix("lmdb://")))
    raise ValueError(
        f"The memory store {url!r} is unknown; expected memory:// or lmdb://PATH. "
        "Use lmdb:///var/lib/carryover for a directory that all workers share."
    )


def check_puts(puts: Sequence[Put]) -> None:
    """Raise ValueError unless keys are distinct and of a length every store takes."""
    keys = {put.key for put in puts}
    if len(keys) != len(puts):
        raise ValueError(
            f"A commit of {len(puts)} puts names only {len(keys)} keys; expected each "
            "key once. Commit the second change to a key after the first."
        )
    for key in keys:
        if not 0 < len(key) <= MAX_KEY_BYTES:
            raise ValueError(
                f"A key has {len(key)} bytes; expected 1 to {MAX_KEY_BYTES}. "
                "Use a shorter key."
            )
