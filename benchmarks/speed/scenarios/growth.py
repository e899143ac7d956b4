"""A million stored sessions: whether a step takes what it took with a thousand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.speed.bench import Bench, summarise
from benchmarks.speed.contenders import OURS, launch_ours
from benchmarks.speed.results import Result, at_most
from benchmarks.speed.servers import Server
from benchmarks.speed.wire import session_rows
from benchmarks.speed.wrk import Run, write_load

FEW = 1_000
# Sessions visited in the large store: enough that hardly any is visited twice.
MAX_VISITED = 20_000


def growth(bench: Bench) -> Result:
    """Measure a step's median latency with 1,000,000 stored sessions and with 1,000.

    The stores are filled directly; one connection visits sessions spread over all of
    them. Target: at most 1.2 times.
    """
    many = 20_000 if bench.is_quick else 1_000_000
    with ExitStack() as stack:
        cases = {
            f"{count:,} sessions": stack.enter_context(stored(bench, count))
            for count in (FEW, many)
        }
        runs = bench.alternate(cases)
    rows = {name: summarise(found) for name, found in runs.items()}
    small, large = (row["median ms"] for row in rows.values())
    targets = [at_most(f"median latency, {many:,} / {FEW:,}", large / small, 1.2)]
    return Result("growth", "Stored sessions, one connection", rows, targets)


@contextmanager
def stored(bench: Bench, count: int) -> Iterator[Callable[[], Run]]:
    """Run the service on a store with a number of sessions; yield a visit of them."""
    home = bench.new_home(f"{count}-sessions")
    fill = [sys.executable, "-m", "benchmarks.speed.fill", str(home)]
    subprocess.run([*fill, str(count)], check=True)
    visited = range(0, count, max(1, count // MAX_VISITED))
    bodies = (session_rows(session)[:1] for session in visited)
    load = write_load(home / "requests", OURS.path, bodies)
    with Server("carryover", launch_ours(home), home) as server:
        yield bench.prepare(server, load, connections=1, seconds=3)
    shutil.rmtree(home)  # a gigabyte and a half
