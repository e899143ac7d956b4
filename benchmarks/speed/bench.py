"""Running contenders, and rounds in which they take turns.

Contenders alternate, so that a machine that grows slower or faster does so for all of
them; figures are medians of the rounds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.model import HOME
from benchmarks.speed.agreement import check_agreement
from benchmarks.speed.contenders import Contender
from benchmarks.speed.environments import Unavailable
from benchmarks.speed.servers import Server, StartError
from benchmarks.speed.wrk import Load, LoadError, Run, run_wrk, write_load

# Of each connection. The load generator visits one after another, so that the events
# of a session are spread over time as a client's are.
SESSIONS_PER_CONNECTION = 16
WARM_UP_SECONDS = 1.0
# A peer's first answer may take longer than a warm-up.
MAX_WARM_UPS = 20
T = TypeVar("T")
Cases = Mapping[str, Callable[[], T]]


class NothingAnswered(LoadError):
    """A run was over before the first answer."""


@dataclass
class Bench:
    """Environment of the scenarios: folder, peers and number of rounds.

    Args:
        home: Folder for logs, memory and loads.
        with_peers: Whether peers that need installing are measured.
        is_quick: Whether to run one short round of each, to see that all works.
        missing: Why peers were not measured, by name.
    """

    home: Path
    with_peers: bool = False
    is_quick: bool = False
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def num_rounds(self) -> int:
        """The number of times that each case is measured."""
        return 1 if self.is_quick else 3

    def seconds(self, whole: float) -> float:
        """Shorten a measurement when it is only to be seen that it works."""
        return 1.0 if self.is_quick else whole

    @contextmanager
    def running(self, *contenders: Contender) -> Iterator[dict[str, Server]]:
        """Run contenders, each with a memory of its own and empty.

        Yields:
            The servers by name, without the peers that cannot be had.
        """
        with ExitStack() as stack:
            servers = {}
            for contender in contenders:
                if contender.is_peer and not self.with_peers:
                    continue
                try:
                    servers[contender.name] = self._start(contender, stack)
                except (Unavailable, StartError) as error:
                    if not contender.is_peer:
                        raise
                    self.missing[contender.name] = str(error)
            yield servers

    def _start(self, contender: Contender, stack: ExitStack) -> Server:
        home = self.new_home(contender.name)
        server = Server(contender.name, contender.launch(home), home)
        stack.enter_context(server)
        check_agreement(contender, server)
        return server

    def new_home(self, name: str) -> Path:
        """Make a folder that nothing was in."""
        taken = len(list(self.home.iterdir()))
        home = self.home / f"{taken}-{name.replace(' ', '-')}"
        home.mkdir(parents=True)
        return home

    def single_events(
        self, server: Server, contender: Contender, *, connections: int, seconds: float
    ) -> Callable[[], Run]:
        """Prepare to send a contender one event per request, and warm it up."""
        num_sessions = SESSIONS_PER_CONNECTION * connections
        bodies = (contender.visits(session) for session in range(num_sessions))
        file = self.new_home("load") / "requests"
        load = write_load(file, contender.path, bodies)
        return self.prepare(server, load, connections=connections, seconds=seconds)

    def prepare(
        self, server: Server, load: Load, *, connections: int, seconds: float
    ) -> Callable[[], Run]:
        """Prepare to send a load, and send it for a moment.

        Raises:
            LoadError: Some answers are errors. What is returned raises it too, also
                where nothing is answered.
        """

        def send(seconds: float) -> Run:
            run = run_wrk(server.port, load, connections=connections, seconds=seconds)
            if not run.requests:
                raise NothingAnswered(f"no answer within {seconds:g} s.")
            return run

        for _ in range(MAX_WARM_UPS):
            with suppress(NothingAnswered):
                send(WARM_UP_SECONDS)
                break
        return partial(send, self.seconds(seconds))

    def alternate(self, cases: Cases[T]) -> dict[str, list[T]]:
        """Measure every case once a round."""
        found: dict[str, list[T]] = {name: [] for name in cases}
        for _ in range(self.num_rounds):
            for name, measure in cases.items():
                found[name].append(measure())
        return found


def new_bench(*, with_peers: bool = False, is_quick: bool = False) -> Bench:
    """Begin with an empty folder."""
    home = HOME / "run"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return Bench(home, with_peers, is_quick)


def summarise(runs: Sequence[Run]) -> dict[str, float]:
    """Take the median of each figure of the rounds of a case."""
    return {
        "requests/s": median(run.requests_per_second for run in runs),
        "median ms": median(run.p50_us for run in runs) / 1e3,
        "p99 ms": median(run.p99_us for run in runs) / 1e3,
    }
