"""Names of a store's keys on its server, by buckets that share a slot of a cluster."""

from __future__ import annotations

from zlib import crc32

# Enough to spread over a large cluster, few enough to ask all of them at once.
NUM_BUCKETS = 64


class RedisLayout:
    """Names of a store's keys; `store` describes what each contains.

    Args:
        prefix: What every name begins with.

    Attributes:
        indexes: For each bucket the sorted set of its keys in byte order.
        due: For each bucket the sorted set of its keys by the time they are due.
        marks: For each bucket where the store's id is.
        completed: Key that says that every bucket has its mark.
    """

    def __init__(self, prefix: str) -> None:
        self._buckets = [
            b"%s:{%02x}" % (prefix.encode(), i) for i in range(NUM_BUCKETS)
        ]
        self.indexes = [bucket + b"/keys" for bucket in self._buckets]
        self.due = [bucket + b"/due" for bucket in self._buckets]
        self.marks = [bucket + b"/mark" for bucket in self._buckets]
        self.completed = self._buckets[0] + b"/marked"

    @staticmethod
    def find_bucket(key: bytes) -> int:
        """Return the number of the bucket that a key falls into."""
        return crc32(key) % NUM_BUCKETS

    def name_entry(self, key: bytes) -> bytes:
        """Return the name of a key's entry."""
        return b"%s:%s" % (self._buckets[crc32(key) % NUM_BUCKETS], key)

    def name_in(self, number: int, key: bytes) -> tuple[bytes, bytes, bytes]:
        """Return the names of a key's entry in a bucket, and of both its indexes."""
        bucket = self._buckets[number]
        return b"%s:%s" % (bucket, key), self.indexes[number], self.due[number]
