"""How full a Redis store is, asked once a second.

Approximate: what all processes begin within a second of each other may pass the limit.
An exact count would cost every step a second key, on one node of a cluster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from service.errors import StoreFull
from service.stores.base import Capacity, Put
from service.stores.redis.client import RedisClient

REFRESH_SECONDS = 1.0
# What an entry takes besides its value and three copies of its key, as measured.
ENTRY_BYTES = 400


class RedisCapacity:
    """Refuses new entries of a store that is full.

    Args:
        capacity: The limits; bytes are those the server, or the primary nodes of the
            cluster together, say they use, whatever for.
        count: Counts the entries of the store.
        client: The server.
    """

    def __init__(
        self, capacity: Capacity, count: Callable[[], int], client: RedisClient
    ) -> None:
        self._capacity = capacity
        self._count = count
        self._client = client
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._entries = self._bytes = 0

    def admit(self, new: Sequence[Put]) -> None:
        """Let entries begin.

        Raises:
            StoreFull: They would be too many.
        """
        most, most_bytes = self._capacity
        if not new or not (most or most_bytes):
            return
        size = sum(ENTRY_BYTES + 3 * len(p.key) + len(p.value) for p in new)
        with self._lock:
            self._refresh()
            if most and self._entries + len(new) > most:
                raise _full(f"CARRYOVER_MAX_SESSIONS={most}")
            if most_bytes and self._bytes + size > most_bytes:
                raise _full(f"CARRYOVER_MAX_MEMORY_BYTES={most_bytes}")
            self._entries += len(new)
            self._bytes += size

    def forget(self) -> None:
        """Ask again at the next entry: some have been deleted."""
        self._asked_at = float("-inf")

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._asked_at < REFRESH_SECONDS:
            return
        if self._capacity.max_entries:
            self._entries = self._count()
        if self._capacity.max_bytes:
            used = (memory["used_memory"] for memory in self._client.info("memory"))
            self._bytes = sum(used)
        self._asked_at = now


def _full(what: str) -> StoreFull:
    return StoreFull(
        f"the memory store has reached {what}; no new session was begun, and live ones "
        "continue. Room comes back when sessions have been gone, expired or deleted, "
        "for CARRYOVER_TOMBSTONE_SECONDS: delete sessions, or allow more."
    )
