"""Tallies: numbers that a process adds up, and publishes to the client library later.

Counting in the library takes longer than most of what a request needs. A tally only
grows, so its one writer needs no lock; publishing adds what is new since the last time.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol, TypeVar

import numpy as np
from prometheus_client import Counter

from service.telemetry.engine_metrics import (
    BATCH_SIZE,
    CALL_SECONDS,
    EVENTS,
    LOST_RACES,
    NATS,
    NETWORK_SECONDS,
    OPERATIONS,
    QUEUE_SECONDS,
    REPLAYED_ROWS,
    ROWS_IN_A_CALL,
    SESSIONS_ENDED,
    SESSIONS_STARTED,
    STORE_ERRORS,
    STORE_SECONDS,
    SURPRISE,
    BulkHistogram,
)

A = TypeVar("A")
R = TypeVar("R")


class HistogramTally:
    """Observations of one child of a histogram.

    Args:
        child: Where they are published.
        bounds: Of its buckets.
    """

    __slots__ = (
        "_bounds",
        "_child",
        "_published",
        "_published_total",
        "buckets",
        "total",
    )

    def __init__(self, child: BulkHistogram, bounds: Sequence[float]) -> None:
        self._child = child
        self._bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0
        self._published = list(self.buckets)
        self._published_total = 0.0

    def add(self, value: float, number: int = 1) -> None:
        """Add an observation, or a number of equal ones."""
        self.buckets[bisect_left(self._bounds, value)] += number
        self.total += value * number

    def add_all(self, values: np.ndarray) -> None:
        """Add an observation each."""
        places = np.searchsorted(self._bounds, values)
        for place, number in enumerate(np.bincount(places).tolist()):
            self.buckets[place] += number
        self.total += float(values.sum())

    def publish(self) -> None:
        """Publish what was added since the last time."""
        buckets, total = list(self.buckets), self.total
        if buckets != self._published:
            added = [n - k for n, k in zip(buckets, self._published, strict=True)]
            self._child.observe_many(added, total - self._published_total)
            self._published, self._published_total = buckets, total


class CounterTally:
    """Counts of one child of a counter.

    Args:
        child: Where they are published.
    """

    __slots__ = ("_child", "_published", "number")

    def __init__(self, child: Counter) -> None:
        self._child = child
        self.number = self._published = 0

    def publish(self) -> None:
        """Publish what was added since the last time."""
        number = self.number
        if number != self._published:
            self._child.inc(number - self._published)
            self._published = number


class VersionTally:
    """Counters of a version's rows.

    Attributes:
        events: Events of applied rows.
        started: Sessions they began.
        ended: Sessions they ended.
        surprise: Of their newest events.
    """

    __slots__ = ("ended", "events", "started", "surprise")

    def __init__(self, model: str, version: int) -> None:
        labels = model, str(version)
        self.events = CounterTally(EVENTS.labels(*labels))
        self.started = find_counter(SESSIONS_STARTED, model)
        self.ended = find_counter(SESSIONS_ENDED, model)
        self.surprise = HistogramTally(SURPRISE.labels(*labels), NATS)
        for counter in (REPLAYED_ROWS, LOST_RACES):
            find_counter(counter, model)  # shown as 0 until there is one

    def publish(self) -> None:
        """Publish what is not yet."""
        self.events.publish()
        self.surprise.publish()


class CallTally:
    """Calls of a network: how large, and how long."""

    __slots__ = ("rows", "seconds")

    def __init__(self, model: str, signature: str) -> None:
        self.rows = HistogramTally(BATCH_SIZE.labels(model, signature), ROWS_IN_A_CALL)
        self.seconds = HistogramTally(
            NETWORK_SECONDS.labels(model, signature), CALL_SECONDS
        )

    def add(self, num_rows: int, seconds: float) -> None:
        """Add a call."""
        rows, times = self.rows, self.seconds
        rows.buckets[bisect_left(ROWS_IN_A_CALL, num_rows)] += 1
        rows.total += num_rows
        times.buckets[bisect_left(CALL_SECONDS, seconds)] += 1
        times.total += seconds

    def publish(self) -> None:
        """Publish what is not yet."""
        self.rows.publish()
        self.seconds.publish()


class Publishes(Protocol):
    """Something that publishes what it has tallied."""

    def publish(self) -> None:
        """Publish what is not yet."""
        ...


P = TypeVar("P", bound=Publishes)
_tallies: list[Publishes] = []


def keep(tally: P) -> P:
    """Have a tally published with the others."""
    _tallies.append(tally)
    return tally


def publish() -> None:
    """Publish all that was tallied since the last time."""
    for tally in list(_tallies):
        tally.publish()


@cache
def find_counter(counter: Counter, *labels: str) -> CounterTally:
    """Find what counts for a counter, or for its child of some labels."""
    return keep(CounterTally(counter.labels(*labels) if labels else counter))


@cache
def find_version_tally(model: str, version: int) -> VersionTally:
    """Find what counts the rows of a version."""
    return keep(VersionTally(model, version))


@cache
def find_call_tally(model: str, signature: str) -> CallTally:
    """Find what counts a network's calls."""
    return keep(CallTally(model, signature))


QUEUE = keep(HistogramTally(QUEUE_SECONDS, CALL_SECONDS))
FETCH, COMMIT, FORGET = (
    keep(HistogramTally(STORE_SECONDS.labels(operation), CALL_SECONDS))
    for operation in OPERATIONS
)
for _operation in OPERATIONS:
    find_counter(STORE_ERRORS, _operation)  # shown as 0 until there is one


def measure(
    tally: HistogramTally, operation: str, call: Callable[[A], R], argument: A
) -> R:
    """Call the store, measure how long it takes, and count it where it fails.

    Args:
        tally: Of the operation.
        operation: Its name.
        call: What to call.
        argument: With what.
    """
    began = time.perf_counter()
    try:
        return call(argument)
    except BaseException:
        find_counter(STORE_ERRORS, operation).number += 1
        raise
    finally:
        tally.add(time.perf_counter() - began)
