"""The `memory://` store: a dictionary under a lock, for tests and single processes.

It does not survive the process, and other processes do not see it.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from typing import NamedTuple

from service.errors import StoreFull
from service.stores.base import UNLIMITED, Capacity, Entry, Put, Survey, check_puts


class _Slot(NamedTuple):
    """An entry with its real forget time and the earliest one the heap knows."""

    entry: Entry
    forget_at: float
    indexed_at: float


class InProcessStore:
    """A store in the memory of one process; see `base.Store`.

    Args:
        capacity: Beyond which it refuses new entries; bytes are those of keys and
            values.

    Attributes:
        slots: What is stored, by key; tests look into it and damage it.
    """

    def __init__(self, capacity: Capacity = UNLIMITED) -> None:
        self._capacity = capacity
        self._num_bytes = 0
        self._lock = threading.Lock()
        self.slots: dict[bytes, _Slot] = {}
        # Lazy: an item with a time that is not its entry's `indexed_at` is out of date.
        self._due: list[tuple[float, bytes]] = []

    def fetch(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return each key's entry in one consistent snapshot; None where absent."""
        with self._lock:
            slots = [self.slots.get(key) for key in keys]
        return [None if one is None else one.entry for one in slots]

    def commit(self, puts: Sequence[Put]) -> list[bool]:
        """Store each put if its key is at the expected version."""
        check_puts(puts)
        with self._lock:
            self._check_capacity(puts)
            return [self._put(put) for put in puts]

    def _check_capacity(self, puts: Sequence[Put]) -> None:
        most, most_bytes = self._capacity
        new = [put for put in puts if not put.expected and put.key not in self.slots]
        size = sum(_size(put.key, put.value) for put in new)
        is_full = most and len(self.slots) + len(new) > most
        if new and (is_full or (most_bytes and self._num_bytes + size > most_bytes)):
            raise StoreFull(
                "the memory store has reached CARRYOVER_MAX_SESSIONS or "
                "CARRYOVER_MAX_MEMORY_BYTES; nothing was stored. Delete sessions, or "
                "allow more."
            )

    def _put(self, put: Put) -> bool:
        slot = self.slots.get(put.key)
        if (0 if slot is None else slot.entry.version) != put.expected:
            return False
        indexed_at = put.forget_at if slot is None else slot.indexed_at
        if slot is None or put.forget_at < indexed_at:
            indexed_at = put.forget_at
            heapq.heappush(self._due, (indexed_at, put.key))
        self._num_bytes += _size(put.key, put.value)
        if slot is not None:
            self._num_bytes -= _size(put.key, slot.entry.value)
        entry = Entry(put.expected + 1, put.value)
        self.slots[put.key] = _Slot(entry, put.forget_at, indexed_at)
        return True

    def scan(
        self, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, Entry]]:
        """Return up to `limit` entries of a prefix in byte order, after key `after`."""
        with self._lock:
            keys = [key for key in self.slots if key.startswith(prefix) and key > after]
            return [(key, self.slots[key].entry) for key in sorted(keys)[:limit]]

    def survey(self, after: bytes, limit: int, num_bytes: int) -> Survey:
        """Return the first bytes of all values: a walk of one part."""
        with self._lock:
            slots = list(self.slots.items())
        return Survey([(key, s.entry.value[:num_bytes]) for key, s in slots], None)

    def forget(self, now: float, limit: int) -> int:
        """Delete up to `limit` entries with `forget_at` <= `now`."""
        forgotten = 0
        with self._lock:
            while forgotten < limit and self._due and self._due[0][0] <= now:
                forgotten += self._settle(*heapq.heappop(self._due), now)
        return forgotten

    def _settle(self, indexed_at: float, key: bytes, now: float) -> bool:
        """Delete the entry an index item points to, or index it at its real time."""
        slot = self.slots.get(key)
        if slot is None or slot.indexed_at != indexed_at:
            return False
        if slot.forget_at <= now:
            del self.slots[key]
            self._num_bytes -= _size(key, slot.entry.value)
            return True
        self.slots[key] = slot._replace(indexed_at=slot.forget_at)
        heapq.heappush(self._due, (slot.forget_at, key))
        return False

    def count(self) -> int:
        """Return how many entries are stored."""
        with self._lock:
            return len(self.slots)

    def close(self) -> None:
        """Do nothing: there is nothing to flush or release."""


def _size(key: bytes, value: bytes) -> int:
    return len(key) + len(value)
