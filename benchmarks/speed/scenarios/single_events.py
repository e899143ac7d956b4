"""One event per request: how many a second, and how soon each is answered."""

from __future__ import annotations

from benchmarks.speed.bench import Bench, summarise
from benchmarks.speed.contenders import FLASK, FLOOR, OURS, TRITON
from benchmarks.speed.results import Result, Target, at_least, at_most


def throughput(bench: Bench) -> Result:
    """Single-event session POSTs over 16 connections, requests per second.

    Target: at least 0.8 of a Flask view that echoes JSON under the same gunicorn, and
    at least Triton's.
    """
    contenders = bench.among(OURS, FLASK, FLOOR, TRITON)
    runs = bench.measure(contenders, connections=16, seconds=4)
    rows = {name: summarise(found) for name, found in runs.items()}
    rate = {name: row["requests/s"] for name, row in rows.items()}
    targets = [
        at_least(
            "requests/s, carryover / flask echo",
            rate[OURS.name] / rate[FLASK.name],
            0.8,
        )
    ]
    if TRITON.name in rate:
        ratio = rate[OURS.name] / rate[TRITON.name]
        targets.append(at_least("requests/s, carryover / triton", ratio, 1.0))
    return Result(
        "throughput", "Single events of sessions, 16 connections", rows, targets
    )


def latency(bench: Bench) -> Result:
    """The same over one connection, median latency.

    Target: at most 0.6 of Triton's.
    """
    contenders = bench.among(OURS, FLASK, FLOOR, TRITON)
    runs = bench.measure(contenders, connections=1, seconds=2)
    rows = {name: summarise(found) for name, found in runs.items()}
    targets: list[Target] = []
    if TRITON.name in rows:
        ratio = rows[OURS.name]["median ms"] / rows[TRITON.name]["median ms"]
        targets.append(at_most("median latency, carryover / triton", ratio, 0.6))
    return Result("latency", "Single events of sessions, one connection", rows, targets)
