"""Mayhem: processes die or stand still, disks fill, versions break, clients grab."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from benchmarks.chaos import faults
from benchmarks.chaos.ledger import Ledger
from tests.redis_servers import RedisServer
from tests.servers import Server

# A worker takes about a second to come back: often one of a service's two is away,
# sometimes both are, and some die while they load.
REST_SECONDS = (0.3, 1.5)
# A store's server takes a moment more to read its log.
AWAY_SECONDS = (0.0, 0.5)
# What stands still continues later, on what it knew before: with a memory that is old,
# or with commits that its workers have given up (after two seconds, twice).
PAUSE_SECONDS = {"worker": (0.1, 1.0), "store": (1.0, 3.0)}
# Where a fault lasts, workers die in it: what comes back finds it.
FAULT_SECONDS = (1.5, 3.0)
LOAD_SECONDS = 60.0
PROCESSES = ("kill worker", "kill store", "kill worker", "pause worker", "pause store")
# Each of the last kind has some of the first before it.
ACTS = (
    *("kill worker", "kill store", "fill disk"),
    *("pause store", "damage version"),
    *("kill worker", "pause worker", "be greedy"),
)


class Mayhem:
    """Does harm to a run's processes and files.

    Args:
        services: The services.
        store: The store's server, where it has one.
        model: The folder of the model's versions.
        disk: The services' own small file system, where they have one.
        rng: Its chance.
        ledger: Where it counts what it did.
        acts: What it does, of `ACTS`.
    """

    def __init__(
        self,
        services: Sequence[Server],
        store: RedisServer | None,
        model: Path,
        disk: Path | None,
        rng: random.Random,
        ledger: Ledger,
        acts: Sequence[str] = ACTS,
    ) -> None:
        self._services = services
        self._store = store
        self._model = model
        self._disk = disk
        self._rng = rng
        self._ledger = ledger
        self._acts = acts
        self._wait = threading.Event().wait

    def rage(self, seconds: float) -> None:
        """Do harm for so long, and leave everything running."""
        deadline = time.monotonic() + seconds
        for act in itertools.cycle(self._list_acts()):
            rest = self._rng.uniform(*REST_SECONDS)
            self._wait(max(0, min(rest, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                return
            act()

    def _list_acts(self) -> list[Callable[[], None]]:
        """Return what to do in turn: no harm to what is not there."""
        acts = {
            "kill worker": self._kill_worker,
            "kill store": self._kill_store if self._store else None,
            "fill disk": self._fill_disk if self._disk else None,
            "pause store": self._pause_store if self._store else None,
            "damage version": self._damage_version,
            "pause worker": self._pause_worker,
            "be greedy": self._be_greedy,
        }
        return [act for name in self._acts if (act := acts[name]) is not None]

    def _kill_worker(self) -> None:
        if pids := self._rng.choice(self._services).worker_pids():
            self._ledger.count("kills of workers")
            os.kill(self._rng.choice(pids), signal.SIGKILL)

    def _pause_worker(self) -> None:
        if pids := self._rng.choice(self._services).worker_pids():
            self._ledger.count("pauses of workers")
            self._pause(self._rng.choice(pids), "worker")

    def _kill_store(self) -> None:
        if self._store is not None:
            self._ledger.count("kills of the store's server")
            self._store.kill()
            self._wait(self._rng.uniform(*AWAY_SECONDS))
            self._store.start()

    def _pause_store(self) -> None:
        if self._store is not None:
            self._ledger.count("pauses of the store's server")
            self._pause(self._store.process.pid, "store")

    def _fill_disk(self) -> None:
        if self._disk is not None:
            self._ledger.count("full disks")
            with faults.full_disk(self._disk):
                self._kill_and_wait()

    def _damage_version(self) -> None:
        """Publish a damaged version, ask for it, and have workers come back to it."""
        self._ledger.count("damaged versions")
        with faults.damaged_version(self._model, self._rng):
            for service in self._services:
                self._ask_to_load(service)
            self._kill_and_wait()

    def _ask_to_load(self, service: Server) -> None:
        path = f"{service.url}/v2/repository/models/{self._model.name}/load"
        try:
            answer = requests.post(path, json={}, timeout=LOAD_SECONDS)
        except requests.RequestException:
            return  # its worker was killed just before
        if answer.ok:
            self._ledger.objection("a damaged version was loaded")
        else:
            self._ledger.count("loads of a damaged version refused")

    def _be_greedy(self) -> None:
        self._ledger.count("greedy clients")
        service = self._rng.choice(self._services)
        with faults.greedy_client(service.port, self._ledger):
            self._wait(self._rng.uniform(*FAULT_SECONDS))

    def _kill_and_wait(self) -> None:
        self._kill_worker()
        self._wait(self._rng.uniform(*FAULT_SECONDS))

    def _pause(self, pid: int, who: str) -> None:
        """Stop a process for a while; one that dies meanwhile stays dead."""
        os.kill(pid, signal.SIGSTOP)
        self._wait(self._rng.uniform(*PAUSE_SECONDS[who]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
