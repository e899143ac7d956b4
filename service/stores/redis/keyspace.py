"""A Redis store as a whole: which one it is, what it contains, and how full it is.

An emptied server, or another one at its address, would silently begin another store.
So a store gets a random id when it is first used, kept in each bucket's slot: a script
begins no entry in a bucket without it. Each process remembers the id, and a file of
the machine does, so that a restart knows it too.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from service.errors import StoreFull, StoreUnavailable
from service.stores.base import Capacity, Put
from service.stores.redis.address import RedisAddress
from service.stores.redis.client import DAMAGED, Command, RedisClient
from service.stores.redis.layout import RedisLayout

log = logging.getLogger(__name__)

ID_BYTES = 16
CHECK_SECONDS = 1.0
REFRESH_SECONDS = 1.0
# What an entry takes besides its value and three copies of its key, as measured.
ENTRY_BYTES = 400
# Buckets are about equally full, so a page needs about this many times its share of
# each; where one has more, another round follows.
MARGIN = 2
MIN_KEYS = 4


class RedisIdentity:
    """The id of a store, and whether its server still has it.

    Args:
        client: The server.
        address: Where it is.
        layout: What its keys are named.
        folder: Where files of known ids are; None keeps none.
        clock: Returns seconds that only advance.
    """

    def __init__(
        self,
        client: RedisClient,
        address: RedisAddress,
        layout: RedisLayout,
        folder: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = layout
        self._client = client
        self._address = address
        self._file = None if folder is None else folder / name_file(address)
        self._clock = clock
        self._id: bytes = b""
        self._is_lost = False
        self._checked_at = float("-inf")

    def learn(self) -> bytes:
        """Return the store's id; it gets one at its first use.

        Raises:
            StoreUnavailable: The server cannot be reached, or has lost the store.
        """
        if self._id:
            return self._id
        known, first = self._read_file(), self._layout.marks[0]
        if not known:
            fresh = secrets.token_hex(ID_BYTES).encode()
            self._client.run([Command(first, ("SET", first, fresh, "NX"))])
        [found, is_complete] = self._client.run(
            [Command(key, ("GET", key)) for key in (first, self._layout.completed)]
        )
        if known and found != known:
            self._note(is_lost=True)
            raise self._lost()
        if not is_complete:
            self._mark_all(found)
        self._write_file(found)
        self._note(is_lost=False)
        self._id = found
        return self._id

    def ask(self, number: int) -> list[Command]:
        """Return what to ask the server besides: once a second, for a mark.

        Args:
            number: A bucket that is read anyway: another one may be on a node that is
                not there.

        Raises:
            StoreUnavailable: The mark was gone within the last second.
        """
        now = self._clock()
        if now < self._checked_at + CHECK_SECONDS:
            if self._is_lost:
                raise self._lost()
            return []
        self._checked_at = now
        mark = self._layout.marks[number]
        return [Command(mark, ("GET", mark))]

    def judge(self, replies: Sequence[Any]) -> None:
        """Look at the server's reply to what `ask` returned.

        Raises:
            StoreUnavailable: The mark is gone, or another's.
        """
        for reply in replies:
            self._note(is_lost=reply != self._id)
        if self._is_lost:
            raise self._lost()

    def lose(self) -> StoreUnavailable:
        """Note that a bucket has no mark, and return the error of that."""
        self._note(is_lost=True)
        return self._lost()

    def _mark_all(self, own: bytes) -> None:
        self._client.run(
            [Command(m, ("SET", m, own, "NX")) for m in self._layout.marks]
        )
        last = self._layout.completed
        self._client.run([Command(last, ("SET", last, "1"))])

    def _note(self, *, is_lost: bool) -> None:
        if is_lost and not self._is_lost:
            log.error("%s", self._lost().detail)
        elif self._is_lost and not is_lost:
            log.warning("the memory store at %s is back", self._address)
        self._is_lost = is_lost

    def _lost(self) -> StoreUnavailable:
        where = "" if self._file is None else f" delete {self._file} and"
        return StoreUnavailable(
            f"the memory store at {self._address} was emptied or replaced; nothing was "
            "read or stored. Restore its server from a backup. To begin without its "
            f"sessions,{where} restart the services."
        )

    def _read_file(self) -> bytes:
        try:
            return b"" if self._file is None else self._file.read_bytes().strip()
        except FileNotFoundError:
            return b""

    def _write_file(self, own: bytes) -> None:
        if self._file is None or self._file.exists():
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(own + b"\n")
        except OSError as error:
            log.warning("cannot note which memory store it is: %s", error)


def name_file(address: RedisAddress) -> str:
    """Name the file of a store's id: by its address, without credentials."""
    text = f"{address}/{address.database}?prefix={address.prefix}"
    return f"store-{blake2b(text.encode(), digest_size=8).hexdigest()}.mark"


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
    each = max(MIN_KEYS, MARGIN * limit // len(indexes))
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
