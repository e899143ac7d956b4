"""Fills a store and times its operations.

It does not know which store it is.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.memory.places import Place
from service.sessions.record import Session, encode
from service.stores.base import Put, Store

# LSTM-128: short-term and long-term memory, 128 float32 each.
TENSOR_BYTES = 2 * 128 * 4
BATCHES = (1, 16, 64)
FILL_BATCH = 1_000
LATER = 4_000_000_000.0
MAX_SAMPLES = 3_000


class Timing(NamedTuple):
    """Duration of an operation, in microseconds per session."""

    median: float
    p99: float


class Result(NamedTuple):
    """Cost of a store of one size; bytes are per session, None without meaning."""

    kind: str
    sessions: int
    timings: dict[str, Timing]
    disk: float | None
    ram: float | None


def record() -> bytes:
    """Return a session's stored form, with tensors that do not compress."""
    tensors = os.urandom(TENSOR_BYTES)
    return encode(Session(1, 1, bytes(16), 0.0, 0.0, LATER, 60.0, tensors))


def key(number: int) -> bytes:
    """Return the key of a session."""
    return b"tenant\0model\0session-%07d" % number


def fill(store: Store, start: int, stop: int, deadline: float) -> int:
    """Store sessions until all are stored or the time is over.

    Returns:
        How many there are then.
    """
    head = record()[:-1]
    for first in range(start, stop, FILL_BATCH):  # each value an object of its own
        if time.monotonic() > deadline:
            return first
        last = min(first + FILL_BATCH, stop)
        store.commit([Put(key(i), 0, head + b"x", LATER) for i in range(first, last)])
    return stop


def measure(kind: str, count: int, place: Place, seconds: float) -> Result:
    """Time the operations of a store that holds `count` sessions.

    Args:
        kind: Its name.
        count: How many it holds.
        place: The store.
        seconds: How long to take, about.
    """
    disk, ram = place.disk_bytes(), place.ram_bytes()
    operations = dict(list_operations(place.store, count))
    each = seconds / len(operations)
    timings = {name: time_it(*op, each) for name, op in operations.items()}
    return Result(
        kind,
        count,
        timings,
        None if disk is None else disk / count,
        None if ram is None else ram / count,
    )


Operation = tuple[int, Callable[[], Callable[[], object]]]


def list_operations(store: Store, count: int) -> Iterator[tuple[str, Operation]]:
    """List operations: a name, how many sessions, and what prepares a call of it."""
    dice, value = random.Random(0), record()

    def choose(size: int) -> list[bytes]:
        return [key(i) for i in dice.sample(range(count), size)]

    def step(keys: list[bytes]) -> Sequence[object]:
        found = store.fetch(keys)
        return store.commit(
            [
                Put(k, entry.version, value, LATER)
                for k, entry in zip(keys, found, strict=True)
                if entry
            ]
        )

    def prepare(work: Callable[[list[bytes]], object], size: int) -> Operation:
        def start() -> Callable[[], object]:
            keys = choose(size)
            return lambda: work(keys)

        return size, start

    yield "fetch", prepare(store.fetch, 1)
    for size in BATCHES:
        yield f"step of {size}", prepare(step, size)
    prefix = b"tenant\0model\0"
    yield "list 100", (100, lambda: lambda: store.scan(prefix, choose(1)[0], 100))


def time_it(
    size: int, start: Callable[[], Callable[[], object]], seconds: float
) -> Timing:
    """Time calls for a number of seconds; a call is prepared outside of its time."""
    samples: list[float] = []
    stop = time.monotonic() + seconds
    while time.monotonic() < stop and len(samples) < MAX_SAMPLES:
        work = start()
        begin = time.perf_counter_ns()
        work()
        samples.append((time.perf_counter_ns() - begin) / 1000 / size)
    samples.sort()
    return Timing(samples[len(samples) // 2], samples[len(samples) * 99 // 100])
