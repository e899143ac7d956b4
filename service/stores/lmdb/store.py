"""The `lmdb://` store: embedded, shared by all workers of a machine, durable.

Three databases. `entries` maps a key to a 28-byte header and the value. `due` holds one
index item per entry, `indexed_at + key`, so that forgetting reads only what is due.
The index is lazy: a step usually postpones `forget_at`, and then leaves the index
unchanged; `forget` finds the item early and moves it. A step costs one get and one put.
The header holds a checksum of the key: a damaged file must not hand out the value of
another key. Such an entry comes back empty, which no record is.
`ballast` is the reserve's (see `reserve`), which lets a full store still change and
delete its entries.

It does not know what the values mean. `service.stores.lmdb.environment` says what
survives a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from service.errors import StoreFull
from service.stores.base import (
    MAX_KEY_BYTES,
    UNLIMITED,
    Capacity,
    Entry,
    Put,
    Survey,
    check_puts,
)
from service.stores.lmdb.environment import (
    LmdbEnvironment,
    ReadTransaction,
    WriteTransaction,
)
from service.stores.lmdb.file import store_full
from service.stores.lmdb.reserve import LmdbReserve, ReserveLow

HEADER = Struct(">QddI")  # version, forget_at, indexed_at, CRC-32 of the key
pack, unpack = HEADER.pack, HEADER.unpack_from
NEVER = float("inf")
# No session takes this many steps: such a version is damage.
MAX_VERSION = 1 << 56
# The header of an entry that is cut off. It is not the end of the store: it has a
# version, so that it can be replaced and deleted, a checksum that no key has, and is
# long due.
DAMAGED = (1, 0.0, NEVER, -1)
# The bytes of a non-negative big-endian double sort as the numbers do.
TIME = Struct(">d")
# Items per write transaction of `forget`: few, so that steps which wait for the write
# lock meanwhile wait a fraction of a millisecond.
FORGET_CHUNK = 128


class Raw(NamedTuple):
    """An entry with its version and time, as it was in another store."""

    key: bytes
    version: int
    forget_at: float
    value: bytes


class CapacityReached(Exception):
    """The transaction would begin more than the capacity allows.

    Not a StoreFull: no room made in the file would help.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class LmdbStore:
    """A store in a directory, shared by processes; see `store.Store`.

    Args:
        path: The directory; created with mode 0700 if missing.
        capacity: Beyond which it refuses new entries; exact with any number of
            processes. Bytes are those of the pages in use.
        durable: Whether a commit is on the disk when it returns; that takes the
            time of an fsync, some milliseconds.
        map_bytes: Address range to begin with; it doubles when full. Where the store
            writes through its map, the least by which the file grows, up to 16 MiB.
        max_map_bytes: Where it stops growing and refuses new entries.

    Attributes:
        environment: The directory's, with the databases entries, due and ballast.
        reserve: Its reserve.

    Raises:
        ValueError: The directory cannot be created, written or opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        capacity: Capacity = UNLIMITED,
        durable: bool = False,
        map_bytes: int = 1 << 30,
        max_map_bytes: int = 1 << 40,
    ) -> None:
        names = [b"entries", b"due", b"ballast"]
        self.environment = LmdbEnvironment(
            path, map_bytes, max_map_bytes, names, durable=durable
        )
        self._entries, self._due, ballast = self.environment.databases
        self.reserve = LmdbReserve(self.environment, ballast)
        self._capacity = capacity

    def fetch(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return each key's entry in one consistent snapshot; None where absent."""
        return self.environment.read(partial(self._fetch, keys))

    def _fetch(self, keys: Sequence[bytes], txn: ReadTransaction) -> list[Entry | None]:
        get, db, size = txn.get, self._entries, HEADER.size
        entries: list[Entry | None] = []
        for key in keys:
            raw = get(key, None, db)
            if raw is None:
                entries.append(None)
                continue
            # Nearly every entry is whole: that costs no call.
            version, _, _, checksum = unpack(raw) if len(raw) >= size else DAMAGED
            if 0 < version < MAX_VERSION and checksum == crc32(key):
                entries.append(Entry(version, raw[size:]))
            else:
                entries.append(_to_entry(key, raw))
        return entries

    def commit(self, puts: Sequence[Put]) -> list[bool]:
        """Store, in one transaction, each put if its key is at the expected version.

        Raises:
            ValueError: Two puts name the same key, or a key has a wrong length.
            StoreFull: There is no room; nothing was stored.
            StoreUnavailable: LMDB cannot write; the log says why.
        """
        # Most commits are of one key, of a usual length: that costs no call.
        if len(puts) != 1 or not 0 < len(puts[0].key) <= MAX_KEY_BYTES:
            check_puts(puts)
        while True:
            try:
                return self.environment.write(partial(self._commit, puts))
            except ReserveLow:
                self.reserve.grow(sum(len(put.value) for put in puts))
            except CapacityReached as reached:
                raise store_full(reached.what) from None
            except StoreFull:
                is_growing = self.environment.read(partial(self._is_growing, puts))
                if is_growing or not self.reserve.release():
                    raise

    def _commit(self, puts: Sequence[Put], txn: WriteTransaction) -> list[bool]:
        # One get and one put a key.
        get, put, db, size = txn.get, txn.put, self._entries, HEADER.size
        stored: list[bool] = []
        is_growing = is_new = False
        for change in puts:
            key, value, forget_at = change.key, change.value, change.forget_at
            raw = get(key, None, db)
            version, indexed_at = 0, NEVER
            if raw is not None:
                version, _, indexed_at, _ = read_header(raw)
            if version != change.expected:
                stored.append(False)
                continue
            is_new |= raw is None
            if raw is None or len(raw) < size + len(value):
                is_growing = True
            if raw is None or forget_at < indexed_at:
                self._index(key, raw is not None, indexed_at, forget_at, txn)
                indexed_at = forget_at
            header = pack(version + 1, forget_at, indexed_at, crc32(key))
            put(key, header + value, db=db)
            stored.append(True)
        if is_growing:
            self.reserve.check(txn)
        if is_new:
            self._check_capacity(txn)
        return stored

    def _index(
        self,
        key: bytes,
        is_indexed: bool,
        indexed_at: float,
        forget_at: float,
        txn: WriteTransaction,
    ) -> None:
        if is_indexed:
            txn.delete(_index_item(indexed_at, key), db=self._due)
        txn.put(_index_item(forget_at, key), b"", db=self._due)

    def _check_capacity(self, txn: WriteTransaction) -> None:
        """Raise CapacityReached if an entry more makes too many, or too many bytes."""
        most, most_bytes = self._capacity
        if most and txn.stat(self._entries)["entries"] > most:
            raise CapacityReached(f"CARRYOVER_MAX_SESSIONS={most}")
        if most_bytes and self.reserve.count_used_bytes(txn) > most_bytes:
            raise CapacityReached(f"CARRYOVER_MAX_MEMORY_BYTES={most_bytes}")

    def _is_growing(self, puts: Sequence[Put], txn: ReadTransaction) -> bool:
        """Return whether a put is longer than what it replaces."""
        for put in puts:
            raw = txn.get(put.key, None, self._entries)
            if raw is None or len(raw) < HEADER.size + len(put.value):
                return True
        return False

    def scan(
        self, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, Entry]]:
        """Return up to `limit` entries of a prefix in byte order, after key `after`."""
        return self.environment.read(partial(self._scan, prefix, after, limit))

    def _scan(
        self, prefix: bytes, after: bytes, limit: int, txn: ReadTransaction
    ) -> list[tuple[bytes, Entry]]:
        found: list[tuple[bytes, Entry]] = []
        cursor = txn.cursor(self._entries)
        more = cursor.set_range(max(prefix, after))
        while more and len(found) < limit:
            key = cursor.key()
            if not key.startswith(prefix):
                break
            if key > after:
                found.append((key, _to_entry(key, cursor.value())))
            more = cursor.next()
        return found

    def survey(self, after: bytes, limit: int, num_bytes: int) -> Survey:
        """Return the first bytes of up to `limit` values in key order."""
        return self.environment.read(partial(self._survey, after, limit, num_bytes))

    def _survey(
        self, after: bytes, limit: int, num_bytes: int, txn: ReadTransaction
    ) -> Survey:
        start, stop = HEADER.size, HEADER.size + num_bytes
        cursor = txn.cursor(self._entries)
        more = cursor.set_range(after)
        if more and cursor.key() == after:
            more = cursor.next()
        if not more:
            return Survey([], None)
        heads = [(key, raw[start:stop]) for key, raw in islice(cursor, limit)]
        return Survey(heads, heads[-1][0] if len(heads) == limit else None)

    def forget(self, now: float, limit: int) -> int:
        """Delete up to `limit` entries with `forget_at` <= `now`."""
        forgotten, more, size = 0, True, FORGET_CHUNK
        while more and forgotten < limit:
            chunk = min(size, limit - forgotten)
            try:
                deleted, more = self.environment.write(
                    partial(self._forget, now, chunk)
                )
            except StoreFull:  # the fewer are deleted, the fewer pages are copied
                if not self.reserve.release():
                    if chunk == 1:
                        raise
                    size = chunk // 2
            else:
                forgotten += deleted
        self.reserve.hold()
        return forgotten

    def _forget(
        self, now: float, chunk: int, txn: WriteTransaction
    ) -> tuple[int, bool]:
        """Settle up to `chunk` due index items.

        Returns:
            How many entries were deleted, and whether more items may be due.
        """
        items = self._due_items(now, chunk, txn)
        return sum(self._settle(item, now, txn) for item in items), len(items) == chunk

    def _due_items(self, now: float, chunk: int, txn: WriteTransaction) -> list[bytes]:
        items: list[bytes] = []
        cursor = txn.cursor(self._due)
        more = cursor.first()
        while more and len(items) < chunk:
            item = bytes(cursor.key())
            if TIME.unpack(item[: TIME.size].ljust(TIME.size, b"\0"))[0] > now:
                break
            items.append(item)
            more = cursor.next()
        return items

    def _settle(self, item: bytes, now: float, txn: WriteTransaction) -> bool:
        """Delete the entry an index item points to, or index it at its real time."""
        key = item[TIME.size :]
        txn.delete(item, db=self._due)
        raw = txn.get(key, None, self._entries) if key else None
        if raw is None:
            return False
        version, forget_at, _, checksum = read_header(raw)
        # Damage may make it no number, which is never beyond `now`.
        if not forget_at > now:
            txn.delete(key, db=self._entries)
            return True
        header = pack(version, forget_at, forget_at, checksum)
        txn.put(key, header + raw[HEADER.size :], db=self._entries)
        txn.put(_index_item(forget_at, key), b"", db=self._due)
        return False

    def restore(self, entries: Sequence[Raw]) -> None:
        """Store entries of another store at their versions, whatever is stored."""
        self.environment.write(partial(self._restore, entries))

    def _restore(self, entries: Sequence[Raw], txn: WriteTransaction) -> None:
        for key, version, forget_at, value in entries:
            header = pack(version, forget_at, forget_at, crc32(key))
            txn.put(key, header + value, db=self._entries)
            txn.put(_index_item(forget_at, key), b"", db=self._due)

    def count(self) -> int:
        """Return how many entries are stored."""
        return self.environment.read(lambda txn: txn.stat(self._entries)["entries"])

    def close(self) -> None:
        """Flush, and release the directory; closing twice is harmless."""
        self.environment.close()


def read_header(raw: bytes | memoryview) -> tuple[int, float, float, int]:
    """Read version, forget_at, indexed_at and checksum of an entry."""
    if len(raw) < HEADER.size:
        return DAMAGED
    header = unpack(raw)
    return header if 0 < header[0] < MAX_VERSION else DAMAGED


def _to_entry(key: bytes, raw: bytes) -> Entry:
    version, _, _, checksum = read_header(raw)
    return Entry(version, raw[HEADER.size :] if checksum == crc32(key) else b"")


def _index_item(forget_at: float, key: bytes) -> bytes:
    # Times before 1970 are all long past; as 0 they sort first.
    return TIME.pack(forget_at if forget_at > 0 else 0.0) + key
