"""Sequences of very different lengths: what long ones cost, and cost others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from benchmarks.model import EVENTS
from benchmarks.speed.bench import Bench, summarise
from benchmarks.speed.contenders import OURS
from benchmarks.speed.results import Result, at_least, at_most
from benchmarks.speed.servers import Server
from benchmarks.speed.wire import dump
from benchmarks.speed.wrk import Load, Run, finish_wrk, start_wrk, write_load

MAX_LENGTH = 1000
CONNECTIONS = 16
# Sequences of each connection, one after another.
NUM_SEQUENCES = 16
# Long sequences that are always under way while short ones are timed.
NUM_LONG = 2
MIXED, EQUAL = "1 to 1,000 events", "equal lengths"
ALONE, BESIDE = "1-event requests alone", "beside 1,000-event requests"


def mixed(bench: Bench) -> Result:
    """Measure events per second in rows of 1 to 1,000 events, spread log-uniformly.

    Target: at least 0.8 of the same number of events in rows of equal length.
    """
    lengths = log_uniform_lengths(CONNECTIONS * NUM_SEQUENCES)
    mean = round(sum(lengths) / len(lengths))
    with bench.running(OURS) as servers:
        cases = {
            name: bench.prepare(
                servers[OURS.name],
                write_lengths(bench, chosen),
                connections=CONNECTIONS,
                # Long enough that rows cut off by the end do not matter: 2%.
                seconds=5,
            )
            for name, chosen in ((MIXED, lengths), (EQUAL, [mean] * len(lengths)))
        }
        runs = bench.alternate(cases)
    rows = {
        name: {"events/s": median(run.events_per_second for run in found)}
        for name, found in runs.items()
    }
    ratio = rows[MIXED]["events/s"] / rows[EQUAL]["events/s"]
    targets = [at_least("events/s, mixed / equal lengths", ratio, 0.8)]
    title = f"Rows of mixed lengths (mean {mean}), 16 connections"
    return Result("mixed", title, rows, targets)


def interference(bench: Bench) -> Result:
    """Measure the slowest hundredth of 1-event requests, alone and beside long ones.

    Target: beside them at most 3 times as slow as alone.
    """
    with bench.running(OURS) as servers:
        server = servers[OURS.name]
        long = write_lengths(bench, [MAX_LENGTH] * NUM_LONG)
        alone = bench.single_events(server, OURS, connections=CONNECTIONS, seconds=3)
        cases: Mapping[str, Callable[[], Run]] = {
            ALONE: alone,
            BESIDE: partial(beside, bench, server, long, alone),
        }
        runs = bench.alternate(cases)
    rows = {name: summarise(found) for name, found in runs.items()}
    ratio = rows[BESIDE]["p99 ms"] / rows[ALONE]["p99 ms"]
    targets = [at_most("p99 of 1-event requests, beside long ones / alone", ratio, 3)]
    title = "1-event requests of 16 connections, beside two that send 1,000 events"
    return Result("interference", title, rows, targets)


def beside(bench: Bench, server: Server, long: Load, short: Callable[[], Run]) -> Run:
    """Time short requests while long ones run."""
    seconds = bench.seconds(3) + 1
    process = start_wrk(server.port, long, connections=NUM_LONG, seconds=seconds)
    try:
        return short()
    finally:
        finish_wrk(process, seconds)


def linear(bench: Bench) -> Result:
    """Measure how the time of a whole sequence grows with its length.

    Targets: an event of 10,000 costs at most 1.3 times an event of 1,000, and 5 us.
    """
    lengths = (100, 1_000, 10_000)
    with bench.running(OURS) as servers:
        cases = {
            f"{length:,} events": partial(time_sequence, servers[OURS.name], length)
            for length in lengths
        }
        bench.alternate(cases)  # warm
        found = bench.alternate(cases)
    rows = {
        name: {
            "ms": 1e3 * median(times),
            "us an event": 1e6 * median(times) / length,
        }
        for (name, times), length in zip(found.items(), lengths, strict=True)
    }
    each = [row["us an event"] for row in rows.values()]
    targets = [
        at_most("time of an event, 10,000 / 1,000", each[2] / each[1], 1.3),
        at_most("us an event, 10,000 events at once", each[2], 5),
    ]
    title = "A whole sequence in one request, without memory"
    return Result("linear", title, rows, targets)


def time_sequence(server: Server, length: int) -> float:
    """Return the seconds of one request with a sequence of a length."""
    body = dump({"instances": [sequence_of(length)]})
    began = time.perf_counter()
    server.post(OURS.path, body)
    return time.perf_counter() - began


def log_uniform_lengths(count: int) -> list[int]:
    """Return as many lengths from 1 to the longest, in random order.

    Quantiles rather than draws, so that a few sequences represent the distribution.
    """
    lengths = [round(MAX_LENGTH ** ((k + 0.5) / count)) for k in range(count)]
    random.Random(7).shuffle(lengths)
    return lengths


def write_lengths(bench: Bench, lengths: Sequence[int]) -> Load:
    """Write one request per length, each of another session."""
    home = bench.new_home("load")
    # Other names in each load: the sessions of one do not grow by the other.
    bodies = (
        [dump({"instances": [row(length, f"{home.name}-{k}")]})]
        for k, length in enumerate(lengths)
    )
    return write_load(
        home / "requests", OURS.path, bodies, count_events=lambda b: b.count("event-")
    )


def row(length: int, session: str) -> dict[str, Any]:
    """Write a row of a session."""
    return {"sequence": sequence_of(length), "session": session}


def sequence_of(length: int) -> list[str]:
    """Repeat the events to a length."""
    return (EVENTS * (length // len(EVENTS) + 1))[:length]
