"""Byte order over buckets: a page of keys from many sorted sets.

It does not know what the keys name.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.stores.redis.client import DAMAGED, Command, RedisClient

# Buckets are about equally full, so a page needs about this many times its share of
# each; where one has more, another round follows.
MARGIN = 2
LEAST = 4


def scan_buckets(
    client: RedisClient,
    indexes: Sequence[bytes],
    prefix: bytes,
    after: bytes,
    limit: int,
) -> list[bytes]:
    """Return the first keys of a prefix in byte order, after the key `after`.

    Args:
        client: The server.
        indexes: Sorted sets with the keys as members, all of one score.
        prefix: What the keys begin with.
        after: Beyond which they are.
        limit: How many at most; fewer are returned only where there are no more.
    """
    found: list[bytes] = []
    each = max(LEAST, MARGIN * limit // len(indexes))
    low = b"[" + prefix if prefix > after else b"(" + after
    while len(found) < limit:
        replies = _ask(client, indexes, low, _end(prefix), each)
        full = [keys for keys in replies if len(keys) == each]
        # Beyond the end of a bucket that was cut off, other keys may be missing.
        bound = min((keys[-1] for keys in full), default=None)
        keys = sorted(key for keys in replies for key in keys)
        found += [key for key in keys if bound is None or key <= bound]
        if bound is None:
            break
        low = b"(" + bound
    return found[:limit]


def _ask(
    client: RedisClient, indexes: Sequence[bytes], low: bytes, high: bytes, each: int
) -> list[list[bytes]]:
    replies = client.run(
        [
            Command(index, ("ZRANGEBYLEX", index, low, high, "LIMIT", 0, each))
            for index in indexes
        ]
    )
    return [[] if keys is DAMAGED else keys for keys in replies]


def _end(prefix: bytes) -> bytes:
    """Return where the keys of a prefix end, as a bound of ZRANGEBYLEX."""
    stem = prefix.rstrip(b"\xff")
    return b"(" + stem[:-1] + bytes([stem[-1] + 1]) if stem else b"+"
