"""The `redis://` store: shared by all replicas; Redis >= 6.2 or Valkey, cluster too.

Keys fall into 64 buckets by their checksum; a bucket's keys share a slot of a cluster
(`{...}` in their names). A bucket has an entry per key, `<prefix>:{<bucket>}:<key>`, a
header and the value; a sorted set of its keys in byte order, for scans; and one by the
time they are due, for forgetting. Both are written when an entry begins, not at a step.

The server expires entries by itself (`PXAT`); `forget` then clears the indexes. What a
server acknowledged is as durable as its configuration makes it:
`docs/how-to/stores.md`.

It does not know what the values mean.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service.errors import StoreFull, StoreUnavailable
from service.stores.base import UNLIMITED, Capacity, Entry, Put, Survey, check_puts
from service.stores.redis.address import RedisAddress
from service.stores.redis.client import (
    DAMAGED,
    KEEPING,
    Command,
    RedisClient,
    ScriptCall,
    unknown_outcome,
)
from service.stores.redis.keyspace import RedisCapacity, RedisIdentity, scan_buckets
from service.stores.redis.layout import NUM_BUCKETS, RedisLayout
from service.stores.redis.scripts import (
    COMMIT,
    FORGET,
    HEADER,
    PASSED,
    SECONDS,
    STORED,
    UNMARKED,
    VERSION,
    WRITER_BYTES,
    expiry_ms,
    read_version,
    score,
)

log = logging.getLogger(__name__)

# An entry that is damaged: empty, which no record is, at the scripts' version of such.
UNREADABLE = Entry(1, b"")
# The scripts cannot discern an entry without a byte from an absent one.
EMPTY = Entry(0, b"")
# Scripts of a round trip: steps wait for a fraction of them.
FORGET_CHUNK = 250
# Keys of a damaged index in a round trip.
RESTORE_CHUNK = 1_000


class RedisStore:
    """A store on a server or a cluster of them; see `store.Store`.

    Args:
        address: Where the server is. It need not run yet.
        capacity: Beyond which new entries are refused; see `RedisCapacity`.
        folder: Where it is noted which store it is; see `RedisIdentity`.
        clock: Returns seconds that only advance; by it the store's mark is read again.

    Attributes:
        client: The server, for any commands.
        layout: What the keys are named.

    Raises:
        ValueError: The server evicts entries when it is full.
    """

    def __init__(
        self,
        address: RedisAddress,
        capacity: Capacity = UNLIMITED,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = RedisClient(address)
        self.layout = RedisLayout(address.prefix)
        self._capacity = RedisCapacity(capacity, self.count, self.client)
        self._identity = RedisIdentity(self.client, address, self.layout, folder, clock)
        try:
            refusal = self._find_policy()
        except StoreUnavailable as error:
            log.warning("the memory store at %s is not there yet: %s", address, error)
        else:
            if refusal:
                raise ValueError(refusal)

    def fetch(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return each key's entry; None where absent."""
        if not keys:
            return []
        self._identity.learn()
        entries = [self.layout.name_entry(key) for key in keys]
        commands = [Command(key, ("GET", key)) for key in entries]
        replies = self.client.run(
            [*commands, *self._identity.ask(self.layout.find_bucket(keys[0]))]
        )
        self._identity.judge(replies[len(keys) :])
        return [_entry(reply) for reply in replies[: len(keys)]]

    def commit(self, puts: Sequence[Put]) -> list[bool | StoreFull]:
        """Store, in one round trip, each put if its key is at the expected version.

        Raises:
            ValueError: Two puts name the same key, or a key has a wrong length.
            StoreFull: The entries that would begin are too many; nothing was stored.
            StoreUnavailable: The server cannot be reached or has lost the store; some
                puts may have been stored.
        """
        check_puts(puts)
        self._capacity.admit([put for put in puts if not put.expected])
        writer, own = os.urandom(WRITER_BYTES), self._identity.learn()
        replies = self.client.call([self._commit(put, writer, own) for put in puts])
        if UNMARKED in replies:
            raise self._identity.lose()
        # Sent twice, it may have been stored, and been built upon in between. Called a
        # loser, the step would be computed and stored once more.
        if replies.is_resent and PASSED in replies:
            raise unknown_outcome()
        return [r if isinstance(r, StoreFull) else r == STORED for r in replies]

    def _commit(self, put: Put, writer: bytes, own: bytes) -> ScriptCall:
        record = HEADER.pack(put.expected + 1, writer, put.forget_at) + put.value
        arguments = (
            VERSION.pack(put.expected),
            record,
            put.key,
            score(put.forget_at),
            expiry_ms(put.forget_at),
            own,
        )
        number = self.layout.find_bucket(put.key)
        names = (*self.layout.name_in(number, put.key), self.layout.marks[number])
        return ScriptCall(COMMIT, names, arguments)

    def scan(
        self, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, Entry]]:
        """Return up to `limit` entries of a prefix in byte order, after key `after`."""
        found: list[tuple[bytes, Entry]] = []
        while len(found) < limit:
            wanted = limit - len(found)
            keys = scan_buckets(self.client, self.layout.indexes, prefix, after, wanted)
            entries = zip(keys, self.fetch(keys), strict=True)
            # Some may have expired since the indexes were cleared.
            found += [(key, entry) for key, entry in entries if entry]
            if len(keys) < wanted:
                break
            after = keys[-1]
        return found

    def survey(self, after: bytes, limit: int, num_bytes: int) -> Survey:
        """Return the first bytes of up to `limit` values, bucket by bucket."""
        number, key = (after[0], after[1:]) if after else (0, b"")
        heads: list[tuple[bytes, bytes]] = []
        while number < NUM_BUCKETS and len(heads) < limit:
            wanted = limit - len(heads)
            keys = scan_buckets(
                self.client, [self.layout.indexes[number]], b"", key, wanted
            )
            heads += self._read_heads(keys, num_bytes)
            if len(keys) == wanted:
                return Survey(heads, bytes([number]) + keys[-1])
            number, key = number + 1, b""
        return Survey(heads, bytes([number]) if number < NUM_BUCKETS else None)

    def _read_heads(
        self, keys: Sequence[bytes], num_bytes: int
    ) -> list[tuple[bytes, bytes]]:
        last = HEADER.size + num_bytes - 1
        entries = [self.layout.name_entry(key) for key in keys]
        replies = self.client.run(
            [Command(entry, ("GETRANGE", entry, 0, last)) for entry in entries]
        )
        return [
            (key, reply[HEADER.size :])
            for key, reply in zip(keys, replies, strict=True)
            if reply is not DAMAGED and reply  # empty: expired
        ]

    def forget(self, now: float, limit: int) -> int:
        """Delete up to `limit` entries with `forget_at` <= `now`."""
        if evicts := self._find_policy():
            log.error("%s", evicts)
        self._restore_due()
        forgotten, more = 0, True
        while more and forgotten < limit:
            due = self._list_due(now, min(FORGET_CHUNK, limit - forgotten))
            limit_time = SECONDS.pack(now)
            calls = [
                ScriptCall(FORGET, self.layout.name_in(bucket, key), (key, limit_time))
                for bucket, key in due
            ]
            forgotten += sum(reply == 1 for reply in self.client.call(calls))
            more = bool(due)
        self._capacity.forget()
        return forgotten

    def _restore_due(self) -> None:
        """Put keys back into each index by time that has lost some, or its type.

        At time 0: an item that comes too early is moved to its entry's time.
        """
        counts = self.client.run(
            [
                Command(index, ("ZCARD", index))
                for index in (*self.layout.indexes, *self.layout.due)
            ]
        )
        pairs = zip(counts[:NUM_BUCKETS], counts[NUM_BUCKETS:], strict=True)
        for number, (num_keys, num_due) in enumerate(pairs):
            if num_due is DAMAGED:
                due = self.layout.due[number]
                self.client.run([Command(due, ("DEL", due))])
                num_due = 0
            if num_keys is not DAMAGED and num_keys > num_due:
                self._index_again(number)

    def _index_again(self, number: int) -> None:
        """Put all keys of a bucket into its index by time."""
        index, due = self.layout.indexes[number], self.layout.due[number]
        after: bytes = b"-"
        while True:
            ask = ("ZRANGEBYLEX", index, after, "+", "LIMIT", 0, RESTORE_CHUNK)
            [keys] = self.client.run([Command(index, ask)])
            if not keys:
                return
            items = [part for key in keys for part in (0, key)]
            self.client.run([Command(due, ("ZADD", due, "NX", *items))])
            after = b"(" + keys[-1]

    def _list_due(self, now: float, limit: int) -> list[tuple[int, bytes]]:
        """List up to `limit` keys that the indexes have as due, with their buckets.

        A damaged index may list a key of another bucket.
        """
        each = -(-limit // NUM_BUCKETS) * 4
        ask = ("-inf", score(now), "LIMIT", 0, each)
        replies = self.client.run(
            [Command(due, ("ZRANGEBYSCORE", due, *ask)) for due in self.layout.due]
        )
        listed = enumerate(replies)
        return [(i, key) for i, keys in listed if keys is not DAMAGED for key in keys][
            :limit
        ]

    def count(self) -> int:
        """Return how many entries are stored, expired ones until `forget` is called."""
        replies = self.client.run(
            [Command(index, ("ZCARD", index)) for index in self.layout.indexes]
        )
        return sum(reply for reply in replies if reply is not DAMAGED)

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        self.client.close()

    def _find_policy(self) -> str:
        """Say what is wrong with a server that throws live sessions away when full."""
        for memory in self.client.info("memory"):
            policy = memory.get("maxmemory_policy", KEEPING)
            if memory.get("maxmemory") and policy != KEEPING:
                return (
                    f"The memory store's server has maxmemory-policy {policy}, by "
                    f"which it throws live sessions away; expected {KEEPING}. Set "
                    f"it: redis-cli CONFIG SET maxmemory-policy {KEEPING}"
                )
        return ""


def _entry(reply: bytes | None) -> Entry | None:
    if reply is None:
        return None
    if reply == b"":
        return EMPTY
    if reply is DAMAGED or not (version := read_version(reply)):
        return UNREADABLE
    return Entry(version, reply[HEADER.size :])
