"""Many events at once: rows of one request, and lines of a stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.model import EVENTS
from benchmarks.speed.bench import Bench
from benchmarks.speed.contenders import OURS, TRITON
from benchmarks.speed.results import Result, at_least
from benchmarks.speed.servers import Server, StartError
from benchmarks.speed.streams import run_streams
from benchmarks.speed.wire import dump
from benchmarks.speed.wrk import Load, write_load

NUM_ROWS = 256
CONNECTIONS = 8
# Requests of a connection, each of other sessions.
NUM_REQUESTS = 2
# Events of a session before they begin again; fewer than there are, for a small file.
NUM_VISITS = 4
STREAM = "/v1/models/lstm:stream"
SINGLE, ROWS, LINES = "single events", "256 rows a request", "lines of a stream"


def bulk(bench: Bench) -> Result:
    """Measure events per second in requests of 256 rows and through streams.

    Targets: each at least 10 times single-event requests and 10 times Triton, which
    takes one event of a sequence per request; and 110,000 events a second where a bare
    WSGI function answers 30,000 requests.
    """
    with bench.running(OURS, TRITON) as servers:
        cases, note = prepare(bench, servers)
        found = bench.alternate(cases)
    rate = {name: median(rates) for name, rates in found.items()}
    targets = [
        at_least(f"events/s, {many} / {few}", rate[many] / rate[few], 10)
        for many in (ROWS, LINES)
        for few in (SINGLE, TRITON.name)
        if many in rate and few in rate
    ]
    rows = {name: {"events/s": value} for name, value in rate.items()}
    targets += [
        at_least(f"events/s, {many}", rate[many], 110_000)
        for many in (ROWS, LINES)
        if many in rate
    ]
    return Result("bulk", "Many events at once", rows, targets, note)


def prepare(
    bench: Bench, servers: dict[str, Server]
) -> tuple[dict[str, Callable[[], float]], str]:
    """Prepare each way to send many events; say which there is not."""
    ours = servers[OURS.name]
    single = bench.single_events(ours, OURS, connections=16, seconds=3)
    load = write_rows(bench)
    rows = bench.prepare(ours, load, connections=CONNECTIONS, seconds=3)
    cases: dict[str, Callable[[], float]] = {
        SINGLE: lambda: single().events_per_second,
        ROWS: lambda: rows().events_per_second,
    }
    note = ""
    try:
        ours.post(STREAM, dump({"sequence": EVENTS[:1], "session": "probe"}) + "\n")
    except StartError as error:
        note = f"No streams were measured: {error}"
    else:
        cases[LINES] = partial(run_streams, ours.port, STREAM, seconds=bench.seconds(3))
    if TRITON.name in servers:
        peer = bench.single_events(
            servers[TRITON.name], TRITON, connections=16, seconds=3
        )
        cases[TRITON.name] = lambda: peer().events_per_second
    return cases, note


def write_rows(bench: Bench) -> Load:
    """Write requests of many rows, each row of another session."""

    def body(group: int, event: str) -> str:
        names = (f"row-{group}-{row}" for row in range(NUM_ROWS))
        return dump({"instances": [{"sequence": [event], "session": n} for n in names]})

    groups = range(CONNECTIONS * NUM_REQUESTS)
    visits = ([body(group, event) for event in EVENTS[:NUM_VISITS]] for group in groups)
    file = bench.new_home("load") / "requests"
    return write_load(file, OURS.path, visits, count_events=lambda _: NUM_ROWS)
