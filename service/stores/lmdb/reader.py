"""Reader of LMDB files (data format 1) that survives damage.

LMDB itself trusts its pages: it aborts the process at some damage. This reader checks
each page, reports what it cannot read, and continues with the next. It is slow, locks
nothing and writes nothing: no process may write the file meanwhile.

Reference: LMDB 0.9, mdb.c, `struct MDB_page`, `MDB_node`, `MDB_db`, `MDB_meta`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

MAGIC, DATA_VERSION = 0xBEEFC0DE, 1
# Page number, padding, flags, begin and end of the free room (or overflow pages).
PAGE = Struct("<QHHHH")
# Low and high half of a size or page number, flags, size of the key.
NODE = Struct("<HHHH")
NUMBER = Struct("<Q")
# Padding, flags, depth, pages (branch, leaf, overflow), entries, root.
DATABASE = Struct("<IHHQQQQQ")
META = Struct("<IIQQ")
META_TAIL = Struct("<QQ")  # last page, transaction
BRANCH, LEAF, OVERFLOW = 1, 2, 4
BIG_DATA, SUB_DATABASE = 1, 2
NO_PAGE = (1 << 64) - 1
# LMDB's own limit.
MAX_DEPTH = 32
PAGE_SIZES = tuple(1 << power for power in range(9, 17))


class Lost(NamedTuple):
    """Range of unreadable keys: from `first` up to `end`, None for no bound."""

    first: bytes
    end: bytes | None
    reason: str


class Item(NamedTuple):
    """A key and its value as stored."""

    key: bytes
    value: bytes


class Database(NamedTuple):
    """A tree: its root page, and how many entries it should have."""

    root: int
    num_entries: int


class UnreadableError(Exception):
    """A page, or the whole file, is not what it should be."""


class LmdbReader:
    """Reads the trees of one file.

    Args:
        path: The file, `data.mdb`.

    Raises:
        UnreadableError: Neither of its two meta pages can be read.
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self.page_bytes, self._main = self._find_main()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def find(self, name: bytes) -> Database:
        """Find a named database.

        Raises:
            UnreadableError: It is not there, or its entry is damaged.
        """
        for found in self._walk(self._main.root, b"", None, set()):
            if isinstance(found, Item) and found.key == name:
                if len(found.value) != DATABASE.size:
                    break
                return _to_database(found.value)
        raise UnreadableError(f"the database {name.decode()} is not found")

    def read(self, database: Database) -> Iterator[Item | Lost]:
        """Read all entries in the order of their keys, and what is lost in between."""
        if database.root != NO_PAGE:
            yield from self._walk(database.root, b"", None, set())

    def _find_main(self) -> tuple[int, Database]:
        """Find the newest of the two metas; the first may be lost with the size."""
        metas = []
        for size in PAGE_SIZES:
            for position in (0, size):
                meta = os.pread(self._file, 152, position + PAGE.size)
                if len(meta) < 152 or META.unpack_from(meta)[:2] != (
                    MAGIC,
                    DATA_VERSION,
                ):
                    continue
                free = DATABASE.unpack_from(meta, META.size)
                if free[0] == size:  # the padding of the first database
                    main = meta[META.size + DATABASE.size :][: DATABASE.size]
                    _, transaction = META_TAIL.unpack_from(meta, 120)
                    metas.append((transaction, size, _to_database(main)))
        if not metas:
            raise UnreadableError("neither of its two meta pages can be read")
        _, size, main_database = max(metas)
        return size, main_database

    def _walk(
        self,
        number: int,
        first: bytes,
        end: bytes | None,
        seen: set[int],
        depth: int = 0,
    ) -> Iterator[Item | Lost]:
        try:
            if number in seen or depth > MAX_DEPTH:
                raise UnreadableError(f"page {number} is not where it belongs")
            seen.add(number)
            page, flags, nodes = self._read_page(number)
        except UnreadableError as error:
            yield Lost(first, end, str(error))
            return
        if flags & LEAF:
            yield from self._read_leaf(page, nodes, first, end)
            return
        keys = [first, *(_key_at(page, node) for node in nodes[1:]), end]
        for node, low, high in zip(nodes, keys[:-1], keys[1:], strict=True):
            low_half, high_half, top, _ = NODE.unpack_from(page, node)
            child = low_half | high_half << 16 | top << 32
            yield from self._walk(child, low or b"", high, seen, depth + 1)

    def _read_leaf(
        self, page: bytes, nodes: list[int], first: bytes, end: bytes | None
    ) -> Iterator[Item | Lost]:
        for node in nodes:
            key = _key_at(page, node)
            if key < first or (end is not None and key >= end):
                yield Lost(first, end, "a key is out of order")
                continue
            try:
                yield Item(key, self._read_value(page, node, len(key)))
            except UnreadableError as error:
                yield Lost(key, key + b"\0", str(error))

    def _read_value(self, page: bytes, node: int, key_bytes: int) -> bytes:
        low_half, high_half, flags, _ = NODE.unpack_from(page, node)
        size, start = low_half | high_half << 16, node + NODE.size + key_bytes
        if not flags & BIG_DATA:
            if start + size > len(page):
                raise UnreadableError("a value is cut off")
            return page[start : start + size]
        if start + NUMBER.size > len(page):
            raise UnreadableError("a value is cut off")
        [number] = NUMBER.unpack_from(page, start)
        data = self._pread(number, PAGE.size + size)
        found, _, kind, _, _ = PAGE.unpack_from(data)
        if found != number or not kind & OVERFLOW:
            raise UnreadableError(f"page {number} is damaged")
        return data[PAGE.size :]

    def _read_page(self, number: int) -> tuple[bytes, int, list[int]]:
        """Read a branch or leaf page, its flags, and where its nodes are."""
        page = self._pread(number, self.page_bytes)
        found, _, flags, lower, upper = PAGE.unpack_from(page)
        kind = flags & (BRANCH | LEAF)
        num_nodes = (lower - PAGE.size) // 2
        if (
            found != number
            or kind not in (BRANCH, LEAF)
            or not PAGE.size < lower <= upper <= self.page_bytes
        ):
            raise UnreadableError(f"page {number} is damaged")
        nodes = list(Struct(f"<{num_nodes}H").unpack_from(page, PAGE.size))
        for node in nodes:
            if not upper <= node <= self.page_bytes - NODE.size:
                raise UnreadableError(f"page {number} is damaged")
            if node + NODE.size + NODE.unpack_from(page, node)[3] > self.page_bytes:
                raise UnreadableError(f"page {number} is damaged")
        return page, flags, nodes

    def _pread(self, number: int, size: int) -> bytes:
        position = number * self.page_bytes
        data = b"" if position >= 1 << 62 else os.pread(self._file, size, position)
        if len(data) < size:
            raise UnreadableError(f"page {number} is beyond the end of the file")
        return data


def _key_at(page: bytes, node: int) -> bytes:
    start = node + NODE.size
    return page[start : start + NODE.unpack_from(page, node)[3]]


def _to_database(stored: bytes) -> Database:
    *_, entries, root = DATABASE.unpack(stored)
    return Database(root, entries)
