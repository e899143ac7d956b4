"""Mayhem: workers die, and the store's server with them, at random moments."""

from __future__ import annotations

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
KILL_SECONDS = (0.3, 1.5)
# Of all kills; its server takes a moment to read its log again.
STORE_SHARE = 0.3
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
    while time.monotonic() < deadline:
        wait(min(rng.uniform(*KILL_SECONDS), max(0, deadline - time.monotonic())))
        if store is not None and rng.random() < STORE_SHARE:
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
