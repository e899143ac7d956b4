"""The thread that brings an LMDB environment's commits from the page cache to the disk.

It does not know what was committed; `lmdb_environment` says what the delay can cost.
"""

from __future__ import annotations

import _thread
import logging
import sys
from collections.abc import Callable
from typing import Any

import lmdb

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0


class LmdbFlusher:
    """Flushes an environment each second if it changed.

    A flush holds up neither readers nor writers. It is a thread of the operating system
    even where gevent has replaced threads: a flush inside the event loop would hold up
    every request.

    Attributes:
        is_due: Set by whoever commits.
    """

    def __init__(self, env: lmdb.Environment) -> None:
        self.is_due = False
        self._env = env
        # Held until `close` wants the thread to end, and until it has ended.
        self._running = _original("allocate_lock")()
        self._alive = _original("allocate_lock")()
        self._running.acquire()
        self._alive.acquire()
        _original("start_new_thread")(self._run, ())

    def _run(self) -> None:
        while not self._running.acquire(timeout=FLUSH_SECONDS):
            self._flush()
        self._alive.release()

    def _flush(self) -> None:
        if not self.is_due:
            return
        # Before the flush: what is committed during it waits for the next one.
        self.is_due = False
        try:
            self._env.sync(True)
        except lmdb.Error as error:
            self.is_due = True
            logger.error("cannot flush the store at %s: %s", self._env.path(), error)

    def close(self) -> None:
        """Stop the thread and flush a last time."""
        self._running.release()
        self._alive.acquire()
        self._flush()


def _original(name: str) -> Callable[..., Any]:
    """Return a function of `_thread` as it was before gevent replaced it."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        found: Callable[..., Any] = getattr(_thread, name)
    else:
        found = monkey.get_original("_thread", name)
    return found
