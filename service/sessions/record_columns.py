"""Records of one layout as columns: many sessions of one network at once.

Reads and writes what `record` does, byte for byte, for records that are alike: sessions
without sections, with memories and last events of one size. It does not know what is
in a memory, nor which sessions may advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np

from service.sessions.record import CHECKSUM, FORMAT, NETWORK_BYTES, SESSION

# The fields of `record.HEAD` and `record.SESSION_FIELDS`.
FIELDS: list[tuple[str, str]] = [
    ("checksum", "<u4"),
    ("format", "u1"),
    ("kind", "u1"),
    ("step", "<u8"),
    ("model_version", "<u8"),
    ("network", f"V{NETWORK_BYTES}"),
    ("created_at", "<f8"),
    ("updated_at", "<f8"),
    ("expires_at", "<f8"),
    ("idle_seconds", "<f8"),
    ("event_bytes", "<u4"),
    ("sections", "u1"),
]


class RecordLayout:
    """Offsets of the parts of such a record, in bytes.

    Args:
        memory_bytes: Size of its memory.
        event_bytes: Size of its last event.

    Attributes:
        num_bytes: Size of a record.
    """

    def __init__(self, memory_bytes: int, event_bytes: int) -> None:
        self._event_bytes = event_bytes
        head = np.dtype(FIELDS).itemsize
        self._memory = slice(head, head + memory_bytes)
        self._event = slice(head + memory_bytes, head + memory_bytes + event_bytes)
        self.num_bytes = self._event.stop
        self._dtype = np.dtype([*FIELDS, ("rest", f"V{memory_bytes + event_bytes}")])

    def read(self, values: Sequence[bytes]) -> np.ndarray:
        """Lay stored forms, each of `num_bytes`, one below the other."""
        return np.frombuffer(b"".join(values), self._dtype)

    def find_live(
        self, table: np.ndarray, network: bytes, model_version: int, now: float
    ) -> np.ndarray:
        """Find the records that are whole, of this layout and version, and live."""
        own = np.frombuffer(network, f"V{NETWORK_BYTES}")
        return np.asarray(
            (table["checksum"] == self._digest(table))
            & (table["format"] == FORMAT)
            & (table["kind"] == SESSION)
            & (table["sections"] == 0)
            & (table["event_bytes"] == self._event_bytes)
            & (table["network"] == own)
            & (table["model_version"] == model_version)
            & (table["expires_at"] > now)
        )

    def memories(self, table: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
        """Return the memories, of shape (records, size)."""
        return np.ascontiguousarray(to_bytes(table)[:, self._memory]).view(dtype)

    def write(
        self,
        before: np.ndarray,
        memories: np.ndarray,
        events: np.ndarray,
        *,
        now: float,
        model_version: int,
    ) -> np.ndarray:
        """Return the records that follow these by one event each.

        Args:
            before: The records.
            memories: The new memories, of shape (records, size).
            events: The events, of shape (records, ...).
            now: When the memories advanced.
            model_version: The version that advanced them.
        """
        table = before.copy()
        table["step"] += 1
        table["model_version"] = model_version
        table["updated_at"] = now
        table["expires_at"] = now + table["idle_seconds"]
        content = to_bytes(table)
        content[:, self._memory] = to_bytes(memories)
        content[:, self._event] = to_bytes(events)
        table["checksum"] = self._digest(table)
        return table

    def split(self, table: np.ndarray) -> list[bytes]:
        """Return the stored form of each record."""
        content, size = table.tobytes(), self.num_bytes
        return [content[k : k + size] for k in range(0, len(content), size)]

    def _digest(self, table: np.ndarray) -> list[int]:
        content, size = table.data.cast("B"), self.num_bytes
        starts = range(0, len(content), size)
        return [crc32(content[k + CHECKSUM.size : k + size]) for k in starts]


@lru_cache(maxsize=256)
def find_layout(memory_bytes: int, event_bytes: int) -> RecordLayout:
    """Return the layout of such records."""
    return RecordLayout(memory_bytes, event_bytes)


def to_bytes(rows: np.ndarray) -> np.ndarray:
    """View contiguous rows as bytes, of shape (rows, bytes of a row)."""
    return rows.view(np.uint8).reshape(len(rows), -1)
