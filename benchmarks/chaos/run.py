"""A run: services, clients, mayhem, and then the audit."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.chaos.audit import audit
from benchmarks.chaos.client import TIMEOUT_SECONDS, Client
from benchmarks.chaos.faults import MANIFEST, small_disk
from benchmarks.chaos.ledger import Ledger
from benchmarks.chaos.mayhem import ACTS, Mayhem
from benchmarks.chaos.plan import Commons, Planner
from benchmarks.chaos.report import Report
from benchmarks.chaos.wire import Wire
from tests.redis_servers import RedisServer, running
from tests.servers import Server

NUM_CLIENTS = 16
NUM_PRIVATE = 3
NUM_SHARED = 3
# Of a session that sixteen clients advance, eight answers may be gone before a client
# asks again after its worker died.
SETTINGS = {
    "workers": 2,
    "stored_answers": 128,
    "stored_answer_bytes": 2**18,
    "log_level": "error",
}
# Every write is on disk before it is acknowledged.
APPEND_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
# gunicorn's words for a worker that a signal ended; SIGKILL is sent here.
DIED = re.compile(r"was sent (?!SIGKILL)(SIG\w+)")
LATENCY_UNDER_GREED = "milliseconds next to a greedy client, percentile {}"
JOIN_SECONDS = TIMEOUT_SECONDS + 60


def run(
    kind: str,
    seconds: float,
    models: Path,
    folder: Path,
    seed: int,
    acts: Sequence[str] = ACTS,
) -> Report:
    """Run clients against services that are killed and paused.

    Args:
        kind: `lmdb`, one service; `redis` or `valkey`, two services on one server.
        seconds: How long.
        models: Folder in which the model `nature` is.
        folder: Where the services keep their files.
        seed: Of all chance but the machine's.
        acts: What is done to the services, of `mayhem.ACTS`.
    """
    ledger, rng = Ledger(), random.Random(seed)
    model = copy_newest(models / "nature", folder / "models")
    with contextlib.ExitStack() as stack:
        store = open_store(kind, stack)
        is_small = stack.enter_context(small_disk(folder / "disk"))
        disk = folder / "disk" if is_small else None
        services = [
            stack.enter_context(service)
            for service in make_services(store, model.parent, folder)
        ]
        with crowd([service.port for service in services], rng, ledger):
            Mayhem(services, store, model, disk, rng, ledger, acts).rage(seconds)
        object_to_ends(services, ledger)
        verdict = audit(services[0].url, ledger)
    count_beside_greed(ledger)
    return Report(kind, seconds, seed, ledger.counts, verdict, ledger.objections)


def object_to_ends(services: Iterable[Server], ledger: Ledger) -> None:
    """Object to workers and services that ended by themselves; start those again."""
    for service in services:
        for name in DIED.findall(service.read_log()):
            ledger.objection(f"a worker died by {name}")
        if service.process.poll() is not None:
            ledger.objection(f"a service ended: {service.read_log()[-2000:]}")
            service.start()


def copy_newest(model: Path, models: Path) -> Path:
    """Copy a model's newest version, as version 1, to where it may be damaged."""
    newest = max(model.glob("[0-9]*"), key=lambda version: int(version.name))
    copied = models / model.name
    shutil.copytree(newest, copied / "1")
    manifest = copied / "1" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 1}))
    return copied


def count_beside_greed(ledger: Ledger) -> None:
    """Count how long others waited while a greedy client asked."""
    if seconds := sorted(ledger.seconds_beside_greed):
        for share in (50, 99):
            taken = seconds[(len(seconds) - 1) * share // 100]
            ledger.counts[LATENCY_UNDER_GREED.format(share)] = round(1000 * taken)


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
        home, kept = folder / name, folder / "disk" / name
        home.mkdir()
        kept.mkdir()
        memory = f"lmdb://{kept}/memory" if store is None else store.url
        paths = {"memory": memory, "state": kept / "state"}
        yield Server(models, home, **SETTINGS, **paths)


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
