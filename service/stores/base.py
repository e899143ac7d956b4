"""Protocol of a memory store: versioned bytes by key, changed by compare-and-set.

It does not know what the bytes mean; `record` and `sessions` do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl

from service.common.text import redact
from service.common.value import Value
from service.errors import StoreFull

# LMDB takes keys of up to 511 bytes, and the expiry index prefixes 8. A round limit
# below that leaves room for what another store may have to add.
MAX_KEY_BYTES = 400


def split_options(url: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Split a store's URL from the options after its question mark.

    Args:
        url: The store's URL.
        known: The options this store has.

    Returns:
        The URL without options, and the options.

    Raises:
        ValueError: An option is unknown or given twice, or is no `name=value`.
    """
    head, _, query = url.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        pairs = [(query, "")]
    options = dict(pairs)
    unknown = sorted(options.keys() - set(known))
    if unknown or len(options) < len(pairs):
        what = f"unknown: {', '.join(unknown)}" if unknown else "given twice"
        # A password that is not written as the address needs it may contain a ?.
        what = "unknown" if "@" in query else what
        raise ValueError(
            f"An option of the memory store {redact(url)!r} is {what}; expected "
            f"{', '.join(f'{name}=...' for name in known)}, each once and parted by "
            "&. Fix what follows the question mark."
        )
    return head, options


def choose(options: dict[str, str], name: str, *choices: str) -> str:
    """Return an option's value, which must be one of the choices; the first if absent.

    Raises:
        ValueError: It is not one of them.
    """
    value = options.get(name, choices[0])
    if value not in choices:
        raise ValueError(
            f"The memory store's option {name} has an unknown value; expected "
            f"{' or '.join(f'{name}={choice}' for choice in choices)}."
        )
    return value


class Entry(Value, frozen=True):
    """A stored value and its version, which is 1 or more; 0 may be damaged."""

    version: int
    value: bytes


class Put(Value, frozen=True):
    """A change to one key, made only if the key is still at the expected version.

    Args:
        key: 1 to `MAX_KEY_BYTES` bytes.
        expected: The version the writer read; 0 means the key must be absent.
        value: What to store.
        forget_at: When the store may drop the entry, in seconds since the epoch.
    """

    key: bytes
    expected: int
    value: bytes
    forget_at: float


class Survey(NamedTuple):
    """Part of a walk over all entries.

    Attributes:
        heads: Keys and the first bytes of their values.
        after: Where the walk continues; None at its end.
    """

    heads: list[tuple[bytes, bytes]]
    after: bytes | None


class Capacity(NamedTuple):
    """Limits of a store's entries and bytes, above which it refuses new ones; 0: none.

    Existing entries may still grow: what is live is never evicted.
    """

    max_entries: int = 0
    max_bytes: int = 0


UNLIMITED = Capacity()


class Store(Protocol):
    """Versioned values, safe to share between threads.

    A key's version grows by one with each commit until the entry is forgotten.
    """

    def fetch(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return each key's entry; None where absent.

        Each entry is whole; a store in one place returns all as of one moment.
        """
        ...

    def commit(self, puts: Sequence[Put]) -> Sequence[bool | StoreFull]:
        """Store, in one transaction, each put if its key is at the expected version.

        Returns:
            For each put, whether it was stored; the error where there was no room for
            it but for another. One refused put spoils no other.

        Raises:
            ValueError: Two puts name the same key, or a key has a wrong length.
            StoreFull: There is no room; nothing of the batch was stored. Without the
                puts that begin an entry it may succeed: existing ones continue.
            StoreUnavailable: The store cannot be reached or used now.
        """
        ...

    def scan(
        self, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, Entry]]:
        """Return up to `limit` entries of a prefix in byte order, after key `after`."""
        ...

    def survey(self, after: bytes, limit: int, num_bytes: int) -> Survey:
        """Return the first bytes of values, in an order of the store's own.

        An entry that is there during the whole walk is met once; one that begins or is
        forgotten meanwhile may be met or not.

        Args:
            after: Where the walk continues; b"" begins it.
            limit: About how many entries to return, 1 or more.
            num_bytes: How many bytes of each value.
        """
        ...

    def forget(self, now: float, limit: int) -> int:
        """Delete up to `limit` entries with `forget_at` <= `now`.

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


def check_puts(puts: Sequence[Put]) -> None:
    """Check that keys are distinct and of a length that every store takes.

    Raises:
        ValueError: A key occurs twice, or has no byte or more than `MAX_KEY_BYTES`.
    """
    if len(puts) != 1 and len({put.key for put in puts}) != len(puts):
        raise ValueError(
            f"A commit of {len(puts)} puts names a key twice; expected "
            "each key once. Commit the second change to a key after the first."
        )
    for put in puts:
        if not 0 < len(put.key) <= MAX_KEY_BYTES:
            raise ValueError(
                f"A key has {len(put.key)} bytes; expected 1 to {MAX_KEY_BYTES}. "
                "Use a shorter key."
            )
