"""Mayhem: workers, and the store's server, die or stand still at random moments."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Sequence

from benchmarks.chaos.ledger import Ledger
from tests.redis_servers import RedisServer
from tests.servers import Server

# A worker takes about a second to come back: often one of a service's two is away,
# sometimes both are, and some die while they load.
REST_SECONDS = (0.3, 1.5)
# A store's server takes a moment more to read its log.
AWAY_SECONDS = (0.0, 0.5)
# What stands still goes on later, on what it knew before: with a memory that is old,
# or with commits whose workers have given them up (after two seconds, twice).
PAUSE_SECONDS = {"worker": (0.1, 1.0), "store": (1.0, 3.0)}
ACTS = ("kill worker", "kill store", "kill worker", "pause worker", "pause store")


class Mayhem:
    """Does harm to a run's processes.

    Args:
        services: The services.
        store: The store's server, where it has one.
        rng: Its chance.
        ledger: Where it counts what it did.
    """

    def __init__(
        self,
        services: Sequence[Server],
        store: RedisServer | None,
        rng: random.Random,
        ledger: Ledger,
    ) -> None:
        self._services = services
        self._store = store
        self._rng = rng
        self._ledger = ledger
        self._wait = threading.Event().wait

    def rage(self, seconds: float) -> None:
        """Do harm for so long, and leave everything running."""
        deadline = time.monotonic() + seconds
        acts = [act for act in ACTS if self._store or "store" not in act]
        for act in itertools.cycle(acts):
            rest = self._rng.uniform(*REST_SECONDS)
            self._wait(max(0, min(rest, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                return
            self._do(act)

    def _do(self, act: str) -> None:
        if act == "kill store" and self._store is not None:
            self._ledger.count("kills of the store's server")
            self._store.kill()
            self._wait(self._rng.uniform(*AWAY_SECONDS))
            self._store.start()
        elif act == "pause store" and self._store is not None:
            self._ledger.count("pauses of the store's server")
            self._pause(self._store.process.pid, "store")
        elif pids := self._rng.choice(self._services).worker_pids():
            pid = self._rng.choice(pids)
            if act == "pause worker":
                self._ledger.count("pauses of workers")
                self._pause(pid, "worker")
            else:
                self._ledger.count("kills of workers")
                os.kill(pid, signal.SIGKILL)

    def _pause(self, pid: int, who: str) -> None:
        """Stop a process for a while; one that dies meanwhile stays dead."""
        os.kill(pid, signal.SIGSTOP)
        self._wait(self._rng.uniform(*PAUSE_SECONDS[who]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
