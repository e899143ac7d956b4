"""One event per request: how many a second, and how soon each is answered."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.speed.bench import Bench, summarise
from benchmarks.speed.contenders import (
    FLASK,
    FLOOR,
    OURS,
    PREDICT,
    STATELESS,
    TRITON,
    Contender,
)
from benchmarks.speed.results import Result, at_least, at_most
from benchmarks.speed.wrk import LoadError, Run

CONNECTIONS = 16
Rows = dict[str, dict[str, float]]


def throughput(bench: Bench) -> Result:
    """Measure single-event session POSTs per second over 16 connections.

    Target: at least 0.8 of a Flask view that echoes JSON under the same gunicorn, and
    at least 1.6 times Triton's.
    """
    rows = measure(bench, [OURS, FLASK, FLOOR, TRITON], CONNECTIONS, seconds=3)
    rate = {name: row["requests/s"] for name, row in rows.items()}
    ours = rate[OURS.name]
    targets = [
        at_least("requests/s, carryover / flask echo", ours / rate[FLASK.name], 0.8)
    ]
    if TRITON.name in rate:
        ratio = ours / rate[TRITON.name]
        targets.append(at_least("requests/s, carryover / triton", ratio, 1.6))
    title = "Single events of sessions, 16 connections"
    return Result("throughput", title, rows, targets)


def latency(bench: Bench) -> Result:
    """Measure the median latency of the same over one connection.

    Target: at most half of Triton's.
    """
    rows = measure(bench, [OURS, FLASK, FLOOR, TRITON], 1, seconds=2)
    targets = []
    if TRITON.name in rows:
        ratio = rows[OURS.name]["median ms"] / rows[TRITON.name]["median ms"]
        targets.append(at_most("median latency, carryover / triton", ratio, 0.5))
    title = "Single events of sessions, one connection"
    return Result("latency", title, rows, targets)


def stateless(bench: Bench) -> Result:
    """Measure peers that are sent the last 20 events for each next one.

    Target: at least 100 times the requests of Flask around `model.predict`.
    """
    contenders = [OURS, *STATELESS] if bench.with_peers else []
    rows = measure(bench, contenders, CONNECTIONS, seconds=3)
    targets = []
    if PREDICT.name in rows:
        ratio = rows[OURS.name]["requests/s"] / rows[PREDICT.name]["requests/s"]
        targets.append(
            at_least("requests/s, carryover / flask model.predict", ratio, 100)
        )
    return Result(
        "stateless",
        "One event with memory, against 20 events sent again without; 16 connections",
        rows,
        targets,
        "LitServe, BentoML and MLServer run the network with ONNX Runtime, in two "
        "workers. They forget whatever is older than the window."
        if rows
        else "Not measured: these peers are installed by `make bench-peers`.",
    )


def measure(
    bench: Bench, contenders: list[Contender], connections: int, *, seconds: float
) -> Rows:
    """Let contenders take turns, and summarise what each did."""
    with bench.running(*contenders) as servers:
        cases: dict[str, Callable[[], Run]] = {}
        for c in contenders:
            if c.name not in servers:
                continue
            try:
                cases[c.name] = bench.single_events(
                    servers[c.name], c, connections=connections, seconds=seconds
                )
            except LoadError as error:
                if not c.is_peer:
                    raise
                bench.missing[c.name] = str(error)
        runs = bench.alternate(cases)
    return {name: summarise(found) for name, found in runs.items()}
