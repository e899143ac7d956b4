"""Starting: how soon the service answers, and what its workers weigh."""

from __future__ import annotations

import compileall
from functools import partial
from statistics import median

from benchmarks.model import ROOT
from benchmarks.speed.bench import Bench
from benchmarks.speed.contenders import FLASK, NUM_WORKERS, OURS, Contender
from benchmarks.speed.results import Result, at_most
from benchmarks.speed.servers import children, resident_megabytes


def start(bench: Bench) -> Result:
    """Start to the first ready answer with 3 models, and memory per worker after load.

    The modules are compiled, as in the image. Targets: 0.8 s and 120 MB of resident
    memory a worker.
    """
    for package in ("service", "benchmarks"):  # as in the image
        compileall.compile_dir(ROOT / package, quiet=1)
    found = bench.alternate(
        {c.name: partial(time_start, bench, c) for c in (OURS, FLASK)}
    )
    rows = {
        name: {
            "seconds to ready": median(seconds for seconds, _ in starts),
            "MB a worker": median(megabytes for _, megabytes in starts),
        }
        for name, starts in found.items()
    }
    ours = rows[OURS.name]
    targets = [
        at_most("seconds from start to ready, 3 models", ours["seconds to ready"], 0.8),
        at_most("MB resident per worker, after load", ours["MB a worker"], 120),
    ]
    return Result("start", "Starting with 3 models", rows, targets)


def time_start(bench: Bench, contender: Contender) -> tuple[float, float]:
    """Start a contender, load it for a moment; return seconds and MB per worker."""
    with bench.running(contender) as servers:
        server = servers[contender.name]
        # Warms up, which is load enough for every worker to have touched what it needs.
        bench.single_events(server, contender, connections=16, seconds=1)
        workers = children(server.process.pid)[:NUM_WORKERS]
        return server.ready_seconds, max(map(resident_megabytes, workers))
