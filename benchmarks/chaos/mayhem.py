"""Mayhem: workers die, and the store's server with them, at random moments."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from itertools import count

from benchmarks.chaos.ledger import Ledger
from tests.redis_servers import RedisServer
from tests.servers import Server

# A worker takes about a second to come back: often one of a service's two is away,
# sometimes both are, and some die while they load.
KILL_SECONDS = (0.3, 1.5)
# Every so many kills it is the store's server, which takes a moment to read its log.
STORE_TURN = 3
AWAY_SECONDS = (0.0, 0.5)


def rampage(
    services: Sequence[Server],
    store: RedisServer | None,
    seconds: float,
    rng: random.Random,
    ledger: Ledger,
) -> None:
    """Kill for so long, and leave everything running."""
    wait = threading.Event().wait
    deadline = time.monotonic() + seconds
    for turn in count(1):
        wait(min(rng.uniform(*KILL_SECONDS), max(0, deadline - time.monotonic())))
        if time.monotonic() >= deadline:
            return
        if store is not None and turn % STORE_TURN == 0:
            store.kill()
            ledger.count("kills of the store's server")
            wait(rng.uniform(*AWAY_SECONDS))
            store.start()
        else:
            kill_worker(rng.choice(services), rng, ledger)


def kill_worker(service: Server, rng: random.Random, ledger: Ledger) -> None:
    """Kill one of a service's workers, if one is there."""
    pids = service.worker_pids()
    if pids:
        os.kill(rng.choice(pids), signal.SIGKILL)
        ledger.count("kills of workers")
