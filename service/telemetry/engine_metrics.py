"""Metrics of the engine, the sessions and the store; see `service.telemetry.metrics`.

Each is tallied where it happens and published with the requests that it belongs to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Protocol, TypeVar

from prometheus_client import Counter, Gauge

from service.telemetry.tallies import (
    SECONDS,
    BulkHistogram,
    CounterTally,
    HistogramTally,
)

Served = tuple[int, str]
A = TypeVar("A")
R = TypeVar("R")

# A call of a compiled program takes microseconds.
CALL_SECONDS = (0.00002, 0.00005, 0.0001, 0.0002, *SECONDS)
ROWS_IN_A_CALL = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# In nats: of an event that was certain, one of two, ... one in 20,000.
NATS = (0.01, 0.1, 0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)

OPERATIONS = ("fetch", "commit", "forget")

BATCH_SIZE = BulkHistogram(
    "carryover_batch_size",
    "Rows of a call of a network.",
    ("model", "signature"),
    buckets=ROWS_IN_A_CALL,
)
NETWORK_SECONDS = BulkHistogram(
    "carryover_network_seconds",
    "Time of a call of a network.",
    ("model", "signature"),
    buckets=CALL_SECONDS,
)
QUEUE_SECONDS = BulkHistogram(
    "carryover_queue_seconds",
    "Time of a row from its arrival to its first tick.",
    buckets=CALL_SECONDS,
)
STORE_SECONDS = BulkHistogram(
    "carryover_store_seconds",
    "Time of a call of the store, for all rows of a tick.",
    ("operation",),
    buckets=CALL_SECONDS,
)
STORE_ERRORS = Counter(
    "carryover_store_errors",
    "Calls of the store that failed, or were refused for want of room.",
    ("operation",),
)
EVENTS = Counter(
    "carryover_events",
    "Events of applied rows, by the version that advanced them.",
    ("model", "version"),
)
SURPRISE = BulkHistogram(
    "carryover_surprise",
    "Surprise of an applied row's newest event, in nats.",
    ("model", "version"),
    buckets=NATS,
)
SESSIONS_STARTED = Counter(
    "carryover_sessions_started", "Sessions that began, or began again.", ("model",)
)
SESSIONS_ENDED = Counter(
    "carryover_sessions_ended", "Sessions that a client ended or deleted.", ("model",)
)
SESSIONS_FORGOTTEN = Counter(
    "carryover_sessions_forgotten", "Tombstones that the sweep deleted."
)
STORED_SESSIONS = Gauge(
    "carryover_stored_sessions",
    "Stored sessions, tombstones and chains of tokens included.",
    multiprocess_mode="mostrecent",
)
LIVE_SESSIONS = Gauge(
    "carryover_live_sessions",
    "Sessions that were live when the store was last counted.",
    ("model",),
    multiprocess_mode="mostrecent",
)
EXPIRED_SESSIONS = Gauge(
    "carryover_expired_sessions",
    "Expired sessions that still answered 410 when the store was last counted.",
    ("model",),
    multiprocess_mode="mostrecent",
)
SESSIONS_EXPIRED = Counter(
    "carryover_sessions_expired",
    "Sessions that expired, as counts of the store found them.",
    ("model",),
)
SESSIONS_COUNTED = Gauge(
    "carryover_sessions_counted_timestamp_seconds",
    "When the last whole count of live and expired sessions began.",
    multiprocess_mode="mostrecent",
)
REPLAYED_ROWS = Counter(
    "carryover_replayed_rows", "Rows answered from a stored answer.", ("model",)
)
LOST_RACES = Counter(
    "carryover_lost_races",
    "Rows computed again because their session had changed.",
    ("model",),
)
ROW_PROBLEMS = Counter(
    "carryover_row_problems", "Rows refused, by the problem's code.", ("model", "code")
)
UNCOUNTED_REQUESTS = Counter(
    "carryover_uncounted_requests",
    "Requests admitted because the store of rate limits did not answer.",
)
CAPTURED_EVENTS = Counter(
    "carryover_captured_events",
    "Events of captured sessions that were written for training.",
    ("model",),
)
DROPPED_EVENTS = Counter(
    "carryover_dropped_events",
    "Events of captured sessions that were not: the queue or the disk was full.",
    ("model",),
)
SPANS = Counter("carryover_spans", "Spans of requests that are traced.")
LOST_SPANS = Counter(
    "carryover_lost_spans", "Those of them that the collector did not take in time."
)
MODEL_INFO = Gauge(
    "carryover_model_info",
    "1 for a version that is served, 0 for one that no longer is.",
    ("model", "version", "runtime"),
    multiprocess_mode="livemax",
)


class VersionTally:
    """What the rows of a version came to.

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


def note_served(name: str, before: Iterable[Served], after: Iterable[Served]) -> None:
    """Note which versions of a model are served, and by which runtime.

    Args:
        name: The model.
        before: Version and runtime of those that were served.
        after: The same of those that are served now.
    """
    for version, runtime in before:
        MODEL_INFO.labels(name, str(version), runtime).set(0)
    for version, runtime in after:
        MODEL_INFO.labels(name, str(version), runtime).set(1)
