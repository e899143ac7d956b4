"""A run: services, clients, mayhem, and then the audit."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

from benchmarks.chaos.audit import audit
from benchmarks.chaos.client import PATIENCE_SECONDS, Client
from benchmarks.chaos.ledger import Ledger
from benchmarks.chaos.mayhem import Mayhem
from benchmarks.chaos.plan import Commons, Planner
from benchmarks.chaos.report import Report
from benchmarks.chaos.wire import Wire
from tests.redis_servers import RedisServer, running
from tests.servers import Server

NUM_CLIENTS = 16
NUM_PRIVATE = 3
NUM_SHARED = 3
# Of a session that sixteen clients advance, eight answers may be gone before a client
# whose worker died asks again.
SETTINGS = {
    "workers": 2,
    "stored_answers": 128,
    "stored_answer_bytes": 2**18,
    "log_level": "error",
}
# Every write is on disk before it is acknowledged.
APPEND_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
JOIN_SECONDS = PATIENCE_SECONDS + 60


def run(kind: str, seconds: float, models: Path, folder: Path, seed: int) -> Report:
    """Run clients against services that are killed and paused.

    Args:
        kind: `lmdb`, one service; `redis` or `valkey`, two services on one server.
        seconds: How long.
        models: Folder in which the model `nature` is.
        folder: Where the services keep their files.
        seed: Of all chance but the machine's.
    """
    ledger, rng = Ledger(), random.Random(seed)
    chosen = folder / "models"
    chosen.mkdir(parents=True)
    (chosen / "nature").symlink_to((models / "nature").resolve())
    with contextlib.ExitStack() as stack:
        store = open_store(kind, stack)
        services = [
            stack.enter_context(service)
            for service in make_services(store, chosen, folder)
        ]
        with crowd([service.port for service in services], rng, ledger):
            Mayhem(services, store, rng, ledger).rage(seconds)
        verdict = audit(services[0].url, ledger)
    return Report(kind, seconds, seed, ledger.counts, verdict, ledger.objections)


def open_store(kind: str, stack: contextlib.ExitStack) -> RedisServer | None:
    """Start the store's server, where it has one."""
    if kind == "lmdb":
        return None
    return stack.enter_context(running(kind, *APPEND_ALWAYS))


def make_services(
    store: RedisServer | None, models: Path, folder: Path
) -> Iterator[Server]:
    """Make one service on LMDB, or two on one server of Redis."""
    for name in ("one",) if store is None else ("one", "other"):
        home = folder / name
        home.mkdir()
        shared = {} if store is None else {"memory": store.url}
        yield Server(models, home, **SETTINGS, **shared)


@contextlib.contextmanager
def crowd(ports: list[int], rng: random.Random, ledger: Ledger) -> Iterator[None]:
    """Have clients ask for the length of a block, then wait for their last answers."""
    is_over, commons = threading.Event(), Commons(NUM_SHARED)
    clients = []
    for _ in range(NUM_CLIENTS):
        own = random.Random(rng.getrandbits(64))
        planner = Planner(own, commons, NUM_PRIVATE)
        clients.append(Client(Wire(ports), len(ports), planner, own, ledger, is_over))
    for client in clients:
        client.start()
    try:
        yield
    finally:
        is_over.set()
        for client in clients:
            client.join(JOIN_SECONDS)
            if client.is_alive():
                ledger.objection("a client did not come to its end")
