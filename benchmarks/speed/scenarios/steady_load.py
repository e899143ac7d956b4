"""Requests that arrive at random, whether or not earlier ones were answered."""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks.speed.bench import SESSIONS_PER_CONNECTION, Bench
from benchmarks.speed.contenders import OURS
from benchmarks.speed.open_loop import run_open_loop
from benchmarks.speed.results import Result, at_most

# Of the requests per second that 16 connections reach when each waits for its answer.
SHARE_OF_PEAK = 0.7
# Enough that an arrival seldom finds none free; the wait for one counts.
CONNECTIONS = 32


def tail(bench: Bench) -> Result:
    """The slowest hundredth of requests at 70% of the peak load.

    An open loop: arrivals are a Poisson process, latency counts from when a request was
    due. Target: p99 at most 3 times the median.
    """
    with bench.running(OURS) as servers:
        server = servers[OURS.name]
        at_peak = bench.single_events(server, OURS, connections=16, seconds=3)()
        rate = SHARE_OF_PEAK * at_peak.requests_per_second
        sessions = [
            OURS.visits(session)
            for session in range(SESSIONS_PER_CONNECTION * CONNECTIONS)
        ]
        arrivals = partial(
            run_open_loop,
            server.port,
            OURS.path,
            sessions,
            rate=rate,
            connections=CONNECTIONS,
            seconds=bench.seconds(5),
        )
        runs = bench.alternate({OURS.name: arrivals})[OURS.name]
    row = {
        "arrivals/s": rate,
        "median ms": 1e3 * median(run.p50_seconds for run in runs),
        "p99 ms": 1e3 * median(run.p99_seconds for run in runs),
    }
    ratio = median(run.p99_seconds / run.p50_seconds for run in runs)
    targets = [at_most("p99 / median latency at 70% of peak", ratio, 3)]
    title = "Random arrivals at 70% of the peak load"
    return Result("tail", title, {OURS.name: row}, targets)
