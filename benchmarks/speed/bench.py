"""The running contenders, and rounds in which they take turns.

Contenders alternate, so that a machine that grows slower or faster does so for all of
them; figures are medians of the rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.speed.contenders import FLASK, FLOOR, OURS, Contender
from benchmarks.speed.environments import Unavailable
from benchmarks.speed.servers import Server, StartError
from benchmarks.speed.wrk import Load, Run, run_wrk, write_load

# Sessions per connection. The load generator visits one after another, so that the
# requests under way are of different sessions.
SESSIONS_PER_CONNECTION = 16
MAX_CONNECTIONS = 16
WARM_UP_SECONDS = 1.0
Figures = Mapping[str, float]
T = TypeVar("T")


@dataclass
class Bench:
    """What scenarios measure with.

    Args:
        home: Folder for logs, memory and loads.
        is_quick: Whether to run one short round of each, to see that all works.
        running: The contenders that started, by name.
        missing: Why others did not, by name.
    """

    home: Path
    is_quick: bool = False
    running: dict[str, tuple[Contender, Server]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def num_rounds(self) -> int:
        """How often each contender is measured."""
        return 1 if self.is_quick else 3

    def seconds(self, whole: float) -> float:
        """Shorten a measurement when it is only to be seen that it works."""
        return 1.0 if self.is_quick else whole

    def start(self, contenders: Iterable[Contender], stack: ExitStack) -> None:
        """Start contenders until the stack is closed; remember which could not be."""
        for contender in contenders:
            home = self.home / contender.name.replace(" ", "-")
            try:
                launch = contender.launch(home)
                server = stack.enter_context(Server(contender.name, launch, home))
            except (Unavailable, StartError) as error:
                if contender in (OURS, FLASK, FLOOR):
                    raise
                self.missing[contender.name] = str(error)
            else:
                self.running[contender.name] = contender, server

    def among(self, *contenders: Contender) -> list[Contender]:
        """Return those of some contenders that are running."""
        return [c for c in contenders if c.name in self.running]

    def load(self, contender: Contender) -> Load:
        """Write a contender's requests, once."""
        file = self.home / f"{contender.name.replace(' ', '-')}.requests"
        num_sessions = SESSIONS_PER_CONNECTION * MAX_CONNECTIONS
        bodies = (contender.visits(session) for session in range(num_sessions))
        return write_load(file, contender.path, bodies)

    def measure(
        self, contenders: Sequence[Contender], *, connections: int, seconds: float
    ) -> dict[str, list[Run]]:
        """Let contenders take turns under wrk."""
        loads = {c.name: self.load(c) for c in contenders}

        def run(name: str, seconds: float) -> Run:
            port = self.running[name][1].port
            return run_wrk(port, loads[name], connections=connections, seconds=seconds)

        for name in loads:
            run(name, WARM_UP_SECONDS)
        return self.alternate(
            {name: partial(run, name, self.seconds(seconds)) for name in loads}
        )

    def alternate(self, cases: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Measure every case once a round."""
        found: dict[str, list[T]] = {name: [] for name in cases}
        for _ in range(self.num_rounds):
            for name, measure in cases.items():
                found[name].append(measure())
        return found


def summarise(runs: Sequence[Run]) -> Figures:
    """Take the median of each figure of a contender's rounds."""
    return {
        "requests/s": median(run.per_second for run in runs),
        "median ms": median(run.p50_us for run in runs) / 1e3,
        "p99 ms": median(run.p99_us for run in runs) / 1e3,
    }
