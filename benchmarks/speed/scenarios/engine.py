"""The engine without HTTP, against the compiled program that does its arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from benchmarks.speed.bench import Bench
from benchmarks.speed.in_process import Program, find_model, make_row, open_services
from benchmarks.speed.results import Result, at_least
from service.engine.engine import Engine
from service.engine.rows import Row
from service.errors import CarryoverError
from service.registry.catalog import Model

BATCH = 64
# Events of each row, so that a call of the engine is hundreds of steps.
LENGTH = 256
ALONE, ENGINE, STORED = "compiled program", "engine", "engine, memory in LMDB"


def engine(bench: Bench) -> Result:
    """Measure events per second of 64 rows that advance together.

    The program in a bare loop, its memory handed from call to call; the engine with
    rows of many events, handing on their memory; and with one event a session,
    their memory fetched from the store and committed. Targets: the engine at least
    0.7 of the program, and 130,000 events a second with the store.
    """
    home = bench.new_home("engine")
    services = open_services(home)
    model, advance = find_model(services), services.engine
    program = Program(BATCH)
    rows = [make_row(LENGTH)] * BATCH
    sessions = [make_row(1, f"session-{k}") for k in range(BATCH)]
    seconds = bench.seconds(2)
    cases = {
        ALONE: partial(repeat, partial(run_program, program), seconds),
        ENGINE: partial(repeat, partial(run_engine, advance, model, rows), seconds),
        STORED: partial(repeat, partial(run_engine, advance, model, sessions), seconds),
    }
    for measure in cases.values():
        measure()
    found = bench.alternate(cases)
    services.engine.sessions.close()
    rate = {name: median(rates) for name, rates in found.items()}
    targets = [
        at_least(
            "events/s, engine / compiled program", rate[ENGINE] / rate[ALONE], 0.7
        ),
        at_least("events/s, engine with LMDB in one process", rate[STORED], 130_000),
    ]
    table = {
        name: {"events/s": value, "us an event": 1e6 / value}
        for name, value in rate.items()
    }
    return Result("engine", "64 rows in one process, no HTTP", table, targets)


def repeat(run: Callable[[], int], seconds: float) -> float:
    """Run for a while and return events per second."""
    events, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        events += run()
    return events / took


def run_program(program: Program) -> int:
    """Advance by an event; return how many rows did."""
    program.step(1)
    return BATCH


def run_engine(engine: Engine, model: Model, rows: Sequence[Row]) -> int:
    """Advance rows; return how many events they have.

    Raises:
        CarryoverError: A row failed.
    """
    for result in engine.advance(model, rows, tenant=""):
        if isinstance(result, CarryoverError):
            raise result
    return sum(len(row.sequence) for row in rows)
