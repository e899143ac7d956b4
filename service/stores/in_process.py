"""The `memory://` store: a dictionary under a lock, for tests and single processes.

It does not survive the process, and other processes do not see it.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from typing import NamedTuple

from service.errors import StoreFull
from service.stores.base import UNLIMITED, Capacity, Entry, Put, check_puts


class _Held(NamedTuple):
    """An entry with its real forget time and the earliest one the heap knows."""

    entry: Entry
    forget_at: float
    indexed_at: float


class InProcessStore:
    """A store in the memory of one process; see `store.Store`.

    Args:
        capacity: Beyond which it refuses new entries; bytes are those of keys and
            values.
    """

    def __init__(self, capacity: Capacity = UNLIMITED) -> None:
        self._capacity = capacity
        self._num_bytes = 0
        self._lock = threading.Lock()
        self._held: dict[bytes, _Held] = {}
        # Lazy: an item whose time is not its entry's `indexed_at` is out of date.
        self._due: list[tuple[float, bytes]] = []

    def fetch(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return each key's entry in one consistent snapshot; None where absent."""
        with self._lock:
            held = [self._held.get(key) for key in keys]
        return [None if one is None else one.entry for one in held]

    def commit(self, puts: Sequence[Put]) -> list[bool]:
        """Store each put whose key is at the expected version."""
        check_puts(puts)
        with self._lock:
            self._check_capacity(puts)
            return [self._put(put) for put in puts]

    def _check_capacity(self, puts: Sequence[Put]) -> None:
        most, most_bytes = self._capacity
        new = [put for put in puts if not put.expected and put.key not in self._held]
        size = sum(_size(put.key, put.value) for put in new)
        is_full = most and len(self._held) + len(new) > most
        if new and (is_full or (most_bytes and self._num_bytes + size > most_bytes)):
            raise StoreFull(
                "the memory store has reached CARRYOVER_MAX_SESSIONS or "
                "CARRYOVER_MAX_MEMORY_BYTES; nothing was stored. Delete sessions, or "
                "allow more."
            )

    def _put(self, put: Put) -> bool:
        held = self._held.get(put.key)
        if (0 if held is None else held.entry.version) != put.expected:
            return False
        indexed_at = put.forget_at if held is None else held.indexed_at
        if held is None or put.forget_at < indexed_at:
            indexed_at = put.forget_at
            heapq.heappush(self._due, (indexed_at, put.key))
        self._num_bytes += _size(put.key, put.value)
        if held is not None:
            self._num_bytes -= _size(put.key, held.entry.value)
        entry = Entry(put.expected + 1, put.value)
        self._held[put.key] = _Held(entry, put.forget_at, indexed_at)
        return True

    def scan(
        self, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, Entry]]:
        """Return up to `limit` entries of a prefix in byte order, after key `after`."""
        with self._lock:
            keys = [key for key in self._held if key.startswith(prefix) and key > after]
            return [(key, self._held[key].entry) for key in sorted(keys)[:limit]]

    def forget(self, now: float, limit: int) -> int:
        """Delete up to `limit` entries whose `forget_at` <= `now`."""
        forgotten = 0
        with self._lock:
            while forgotten < limit and self._due and self._due[0][0] <= now:
                forgotten += self._settle(*heapq.heappop(self._due), now)
        return forgotten

    def _settle(self, indexed_at: float, key: bytes, now: float) -> bool:
        """Delete the entry an index item points to, or index it at its real time."""
        held = self._held.get(key)
        if held is None or held.indexed_at != indexed_at:
            return False
        if held.forget_at <= now:
            del self._held[key]
            self._num_bytes -= _size(key, held.entry.value)
            return True
        self._held[key] = held._replace(indexed_at=held.forget_at)
        heapq.heappush(self._due, (held.forget_at, key))
        return False

    def count(self) -> int:
        """Return how many entries are stored."""
        with self._lock:
            return len(self._held)

    def close(self) -> None:
        """Do nothing: there is nothing to flush or release."""


def _size(key: bytes, value: bytes) -> int:
    return len(key) + len(value)
