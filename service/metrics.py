"""The service's metrics, in Prometheus's form, added up over all workers.

Names are of the service, units are seconds, bytes or counts, and no session's id is a
label. With several workers each counts in files of its own, which the client library
maps into memory (its multiprocess mode); whoever is asked adds them up.
"""

from __future__ import annotations

import os
from collections import Counter as Counted
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from service.later import Later
from service.metrics_folder import FOLDER_VARIABLE

if TYPE_CHECKING:
    from service.access_log import Told

# From a step of a lone request to what a client gives up on.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)

REQUESTS = Counter(
    "carryover_requests",
    "Requests answered.",
    ("route", "model", "version", "status", "code"),
)
REQUEST_SECONDS = Histogram(
    "carryover_request_seconds",
    "Time from a request's arrival to its answer.",
    ("route", "model"),
    buckets=SECONDS,
)
ROWS = Counter("carryover_rows", "Rows of answered requests.", ("model",))
BATCHES = Counter("carryover_batches", "Calls of a network.", ("model", "signature"))
BATCH_ROWS = Counter(
    "carryover_batch_rows",
    "Rows of those calls; their ratio is the mean batch.",
    ("model", "signature"),
)
QUEUED_ROWS = Gauge(
    "carryover_queued_rows",
    "Rows that wait or are under way.",
    multiprocess_mode="livesum",
)


def count(told: Told, seconds: float) -> None:
    """Count an answered request, with others a moment later.

    Counting in shared files takes longer than most of what a request needs, and as
    long for many of a kind as for one.
    """
    _answered.append((told, seconds))
    _later.ask()


def count_call(name: tuple[str, str], num_rows: int) -> None:
    """Count a call of a network, of a model and a signature, a moment later."""
    _calls[name] += 1
    _rows[name] += num_rows
    _later.ask()


def count_under_way(num_rows: int) -> None:
    """Note that so many more rows are under way, or fewer; told a moment later."""
    global _under_way
    _under_way += num_rows


def count_all() -> None:
    """Count what was answered and called since the last time."""
    QUEUED_ROWS.set(_under_way)
    count_answered()
    for name in list(_calls):
        calls, rows = find_batches(*name)
        calls.inc(_calls.pop(name, 0))
        rows.inc(_rows.pop(name, 0))


def count_answered() -> None:
    """Count the requests that were answered since the last time."""
    kinds: Counted[tuple[str, str, int, int, str]] = Counted()
    rows: Counted[str] = Counted()
    for _ in range(len(_answered)):
        told, seconds = _answered.popleft()
        manifest = told.model.manifest if told.model else None
        name = manifest.name if manifest else ""
        version = manifest.version if manifest else 0
        kind = (told.route or "", name, version, told.status, told.code or "")
        kinds[kind] += 1
        rows[name] += 0 if told.are_rows_counted else told.num_rows or 0
        find_request(*kind)[1].observe(seconds)
    for kind, number in kinds.items():
        find_request(*kind)[0].inc(number)
    for name, number in rows.items():
        if number:
            find_rows(name).inc(number)


_under_way = 0
_answered: deque[tuple[Told, float]] = deque()
_calls: Counted[tuple[str, str]] = Counted()
_rows: Counted[tuple[str, str]] = Counted()
_later = Later(count_all)


# Finding a metric's child by its labels takes longer than counting. As many kinds of
# requests as a service with dozens of models has; beyond them it is only slower.
@lru_cache(maxsize=4096)
def find_request(
    route: str, model: str, version: int, status: int, code: str
) -> tuple[Counter, Histogram]:
    """Find the metrics of a kind of request."""
    return (
        REQUESTS.labels(route, model, str(version or ""), str(status), code),
        REQUEST_SECONDS.labels(route, model),
    )


@lru_cache(maxsize=4096)
def find_rows(model: str) -> Counter:
    """Find the counter of a model's rows."""
    return ROWS.labels(model)


@lru_cache(maxsize=4096)
def find_batches(model: str, signature: str) -> tuple[Counter, Counter]:
    """Find the counters of a network's calls."""
    return BATCHES.labels(model, signature), BATCH_ROWS.labels(model, signature)


def expose() -> bytes:
    """Write all metrics, those of all workers where there are several."""
    count_all()
    if FOLDER_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
