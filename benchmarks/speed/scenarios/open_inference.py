"""Triton's protocol by Triton's own load generator: sequences with binary tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.model import EVENTS, NUM_LABELS
from benchmarks.speed.bench import Bench
from benchmarks.speed.contenders import NUMBERED, OURS, TRITON
from benchmarks.speed.perf_analyzer import (
    Figures,
    find_program,
    run_perf_analyzer,
    write_events,
)
from benchmarks.speed.results import Result, Target, at_least, at_most
from benchmarks.speed.servers import Server

CONCURRENCY = 16
TITLE = "Open Inference with binary tensors by perf_analyzer, sequences"
# Of the service, each compared with Triton: its events, and the version in its address.
CASES = {
    "integer events": (NUMBERED, ""),
    "integer events, version in the address": (NUMBERED, "1"),
    "string events": (OURS, ""),
    "string events, version in the address": (OURS, "1"),
}


def open_inference(bench: Bench) -> Result:
    """Measure requests per second 16 at a time, and the median one at a time.

    Target: at least 1.3 times Triton's throughput, and at most 0.75 of its median.
    """
    program = find_program()
    if program is None:
        note = "Not measured: there is no perf_analyzer here; see PERF_ANALYZER."
        return Result("open_inference", TITLE, {}, note=note)
    rows: dict[str, dict[str, float]] = {}
    with bench.running(OURS, NUMBERED, TRITON) as servers:
        cases = prepare(bench, program, servers)
        for run in cases.values():  # the first run of each warms it up
            run(CONCURRENCY)
        many = bench.alternate({n: partial(c, CONCURRENCY) for n, c in cases.items()})
        one = bench.alternate({n: partial(c, 1) for n, c in cases.items()})
    for name in cases:
        rows[name] = {
            "requests/s, 16 at a time": middle(many[name]).requests_per_second,
            "median us, 16 at a time": middle(many[name]).p50_us,
            "median us, one at a time": median(run.p50_us for run in one[name]),
        }
    return Result("open_inference", TITLE, rows, compare(rows))


def middle(runs: list[Figures]) -> Figures:
    """Return the run of middle throughput."""
    return sorted(runs)[len(runs) // 2]


def prepare(
    bench: Bench, program: str, servers: dict[str, Server]
) -> dict[str, Callable[[int], Figures]]:
    """Prepare each case: a function of the number of requests under way."""
    home = bench.new_home("events")
    numbers = list(range(NUM_LABELS))
    files = {
        OURS.name: write_events(home / "names.json", "sequence", EVENTS),
        NUMBERED.name: write_events(home / "numbers.json", "sequence", numbers),
        TRITON.name: write_events(home / "triton.json", "event", numbers),
    }
    wanted = {name: case for name, case in CASES.items() if case[0].name in servers}
    if TRITON.name in servers:
        wanted[TRITON.name] = (TRITON, "")

    def run(name: str, version: str, concurrency: int) -> Figures:
        return run_perf_analyzer(
            program,
            servers[name].port,
            files[name],
            concurrency=concurrency,
            seconds=bench.seconds(2),
            version=version,
        )

    return {
        case: partial(run, contender.name, version)
        for case, (contender, version) in wanted.items()
    }


def compare(rows: dict[str, dict[str, float]]) -> list[Target]:
    """Compare each case with Triton, where that was measured."""
    triton = rows.get(TRITON.name)
    if triton is None:
        return []
    rate, alone = "requests/s, 16 at a time", "median us, one at a time"
    targets = []
    for name in CASES:
        own = rows[name]
        text = f"perf_analyzer, {name} / triton"
        targets.append(at_least(f"requests/s, {text}", own[rate] / triton[rate], 1.3))
        targets.append(at_most(f"median, {text}", own[alone] / triton[alone], 0.75))
    return targets
