"""Reserved pages of an LMDB file, so that a full store can still change and delete.

LMDB never writes in place: deleting a small record copies every page from its leaf to
the root, and what a transaction frees can be used two transactions later. In a file
without free pages nothing can be deleted. So a part of the file is occupied by a
value without meaning, the ballast. Growth of the store must not use it. An update or a
deletion that finds no room drops the ballast and continues in its pages. Growth is then
refused until as many pages are free again, and the next sweep restores the ballast.

Occupied, not just free: LMDB rewrites its list of free pages with every commit, which
made a step four times as expensive. In the file, not beyond its end: a disk that fills
up later cannot take it away. It does not know what is stored.
"""

from __future__ import annotations

import contextlib
import math
from functools import partial
from typing import NamedTuple

import lmdb

from service.errors import StoreFull
from service.stores.lmdb.environment import LmdbEnvironment, WriteTransaction

# Measured with records of 150 to 50,000 bytes: an eighth is enough for most mixtures in
# a file of 16 MiB, and too little in one of 2 MiB.
USED_PAGES_PER_RESERVED = 4
# 16 MiB of pages of 4 KiB: room to change 1,024 rows of 8 KB, the most of one request.
MAX_PAGES = 4_096
# Pages that are free besides: room to release a piece, or to make a small change.
PIECE_PAGES = 32
PIECES_RELEASED = 4
# What LMDB puts in front of a value too long for a leaf.
PAGE_HEADER_BYTES = 16
META_PAGES = 2
SCRATCH = b"scratch"


class ReserveLow(Exception):
    """The transaction grew the store and would leave too few pages in reserve."""


class Pages(NamedTuple):
    """Number of pages used for records, used by ballast, and free in the file."""

    used: int
    ballast: int
    free: int

    def count_missing(self) -> int:
        """Count the pages that the ballast lacks."""
        wanted = min(max(self.used // USED_PAGES_PER_RESERVED, PIECE_PAGES), MAX_PAGES)
        return wanted - self.ballast


class LmdbReserve:
    """The reserve of an environment; all its state is in the file, for all processes.

    Args:
        env: The environment.
        ballast: A database of it that nothing else uses.
    """

    def __init__(self, env: LmdbEnvironment, ballast: lmdb._Database) -> None:
        self._env = env
        self._ballast = ballast

    def count(self, txn: WriteTransaction) -> Pages:
        """Count pages as the transaction leaves them; free are those of before it.

        LMDB's own list of free pages counts as free: a page for some 500 of them.
        """
        stats = [txn.stat(db) for db in (None, *self._env.databases)]
        ballast = txn.stat(self._ballast)["overflow_pages"]
        taken = META_PAGES + sum(
            stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            for stat in stats
        )
        return Pages(taken - ballast, ballast, self._env.count_file_pages() - taken)

    def check(self, txn: WriteTransaction) -> None:
        """Let a transaction that grew the store pass if it leaves the reserve.

        Raises:
            ReserveLow: It does not; abort it, call `grow` and try again.
        """
        pages = self.count(txn)
        # What was released is in reserve as well while it is free.
        if pages.free < PIECE_PAGES + max(pages.count_missing(), 0):
            raise ReserveLow

    def count_used_bytes(self, txn: WriteTransaction) -> int:
        """Count the bytes of the pages that hold records, as a transaction leaves them.

        Free pages and the reserve are not among them.
        """
        return self.count(txn).used * self._env.page_bytes

    def grow(self, size: int) -> None:
        """Lengthen the file, and hold what is missing.

        Args:
            size: How many bytes are about to be stored besides.

        Raises:
            StoreFull: The disk or the map has no room.
        """
        self._env.write(partial(self._lengthen, size))
        self._env.write(lambda txn: txn.delete(SCRATCH, db=self._ballast))
        self.hold()

    def _lengthen(self, size: int, txn: WriteTransaction) -> None:
        # One more than are free cannot fit among those, so it makes the file longer.
        pages = self.count(txn)
        wanted = max(pages.count_missing(), 0) + size // self._env.page_bytes
        self._put(SCRATCH, max(wanted, pages.free + 1, PIECE_PAGES), txn)

    def release(self) -> bool:
        """Free some of the ballast; return whether there was any.

        Raises:
            StoreFull: There is no room even for that.
        """
        return self._env.write(self._release)

    def _release(self, txn: WriteTransaction) -> bool:
        # Few at a time: LMDB has to write down which pages became free.
        cursor = txn.cursor(self._ballast)
        return any([cursor.last() and cursor.delete() for _ in range(PIECES_RELEASED)])

    def hold(self) -> None:
        """Allocate the missing ballast, if enough pages are free."""
        with contextlib.suppress(StoreFull):
            self._env.write(self._hold)

    def _hold(self, txn: WriteTransaction) -> None:
        pages = self.count(txn)
        missing = pages.count_missing()
        if missing <= 0 or pages.free < missing + 2 * PIECE_PAGES:
            return
        first = txn.stat(self._ballast)["entries"]
        for number in range(first, first + math.ceil(missing / PIECE_PAGES)):
            self._put(b"%06d" % number, PIECE_PAGES, txn)

    def _put(self, key: bytes, num_pages: int, txn: WriteTransaction) -> None:
        size = num_pages * self._env.page_bytes - PAGE_HEADER_BYTES
        txn.put(key, bytes(size), db=self._ballast)
