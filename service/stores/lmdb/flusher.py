"""The thread that brings an LMDB environment's commits from the page cache to the disk.

It also looks each second whether the file is still the one that was opened. It does not
know what was committed; `service.stores.lmdb.environment` says what the delay can cost.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from service.common.loop import offload
from service.stores.lmdb.identity import LmdbIdentity

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0


class LmdbFlusher:
    """Flushes a store's file each second if it changed, and watches its file.

    A flush holds up neither readers nor writers.

    Attributes:
        is_due: Set by whoever commits.
    """

    def __init__(self, data: Path, identity: LmdbIdentity) -> None:
        self.is_due = False
        self._path = data
        # Not LMDB's own way, which reads a map that may be made longer meanwhile.
        self._data = os.open(data, os.O_RDONLY)
        self._identity = identity
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="memory-flush", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._identity.check()
            self._flush()

    def _flush(self) -> None:
        if not self.is_due:
            return
        # Before the flush: what is committed during it waits for the next one.
        self.is_due = False
        try:
            offload(os.fdatasync, self._data)
        except OSError as error:
            self.is_due = True
            logger.error("cannot flush the store at %s: %s", self._path, error)

    def close(self) -> None:
        """Stop the thread and flush a last time."""
        self._closing.set()
        self._thread.join()
        self._flush()
        os.close(self._data)
