"""Requests that arrive at random, whether or not earlier ones were answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median

from benchmarks.speed.bench import SESSIONS_PER_CONNECTION, Bench
from benchmarks.speed.contenders import FLOOR, OURS, Contender
from benchmarks.speed.open_loop import OpenRun, run_open_loop
from benchmarks.speed.results import Result, at_most
from benchmarks.speed.wire import Visits

# Of the requests per second that 16 connections reach when each waits for its answer.
SHARE_OF_PEAK = 0.7
PEAK_CONNECTIONS = 16
# Enough that an arrival seldom finds none free; the wait for one counts.
CONNECTIONS = 32
RATIO = "p99 / median"
# Tens of times what a request takes: ever more of them wait, and wait alike.
MAX_MEDIAN_MS = 50


def tail(bench: Bench) -> Result:
    """Measure the slowest hundredth of requests at 70% of the peak load.

    An open loop: arrivals are a Poisson process, latency counts from when a request was
    due. Target: p99 at most 3 times the median. The bare WSGI function, at as many
    arrivals, shows what of the ratio is the machine's, the client's and the arrivals'.
    """
    with bench.running(OURS, FLOOR) as servers:
        at_peak = bench.single_events(
            servers[OURS.name], OURS, connections=PEAK_CONNECTIONS, seconds=3
        )()
        rate = SHARE_OF_PEAK * at_peak.requests_per_second
        runs = bench.alternate(
            {
                contender.name: partial(
                    run_open_loop,
                    servers[contender.name].port,
                    contender.path,
                    write_sessions(contender),
                    rate=rate,
                    connections=CONNECTIONS,
                    seconds=bench.seconds(5),
                )
                for contender in (OURS, FLOOR)
            }
        )
    rows = {name: summarise(rate, own) for name, own in runs.items()}
    own = rows[OURS.name]
    targets, note = [at_most("p99 / median latency at 70% of peak", own[RATIO], 3)], ""
    if own["median ms"] > MAX_MEDIAN_MS:
        targets, note = (
            [],
            (
                "The service did not keep up with these arrivals: requests waited for "
                "others, and the ratio says nothing."
            ),
        )
    title = "Random arrivals at 70% of the peak load"
    return Result("tail", title, rows, targets, note)


def write_sessions(contender: Contender) -> list[Visits]:
    """Write the bodies of the sessions that the connections visit."""
    count = SESSIONS_PER_CONNECTION * CONNECTIONS
    return [contender.visits(session) for session in range(count)]


def summarise(rate: float, runs: Sequence[OpenRun]) -> dict[str, float]:
    """Summarise the rounds of one contender."""
    return {
        "arrivals/s": rate,
        "median ms": 1e3 * median(run.p50_seconds for run in runs),
        "p99 ms": 1e3 * median(run.p99_seconds for run in runs),
        RATIO: median(run.p99_seconds / run.p50_seconds for run in runs),
    }
