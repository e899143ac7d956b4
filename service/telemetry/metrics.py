"""The service's metrics, in Prometheus's form, added up over all workers.

Names begin with `carryover_`; units are seconds, bytes or counts. No label is a
session's id. With several workers each counts in its own memory and replaces files of
its own a few times a second (`service.telemetry.metrics_counts`); the worker that
answers `/metrics` adds them up.
"""

from __future__ import annotations

import fcntl
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from service.common.loop import Debouncer
from service.common.runs import find_metrics_folder, lock_folder
from service.telemetry import engine_metrics, tallies
from service.telemetry.engine_metrics import SECONDS, BulkHistogram
from service.telemetry.metrics_counts import counts_alone, write_counts
from service.telemetry.request_record import RequestRecord

REQUESTS = Counter(
    "carryover_requests",
    "Requests answered.",
    ("route", "model", "version", "status", "code"),
)
REQUEST_SECONDS = BulkHistogram(
    "carryover_request_seconds",
    "Time from a request's arrival to its answer.",
    ("route", "model"),
    buckets=SECONDS,
)
ROWS = Counter("carryover_rows", "Rows of answered requests.", ("model",))
VERSION_LOADS = Counter(
    "carryover_version_loads",
    "Versions of models that a worker loaded, or refused to.",
    ("model", "outcome"),
)
LABEL_CHANGES = Counter(
    "carryover_label_changes",
    "Changed version labels that the watch adopted, or refused.",
    ("model", "outcome"),
)
QUEUED_ROWS = Gauge(
    "carryover_queued_rows",
    "Rows that wait or are under way.",
    multiprocess_mode="livesum",
)
# Records of answered requests that are kept until they are counted together: as many
# take a fraction of a millisecond, in which no request continues.
MAX_WAITING = 128


class UnderWay:
    """Rows of this process that wait or are under way; published by `count_all`."""

    __slots__ = ("num_rows",)

    def __init__(self) -> None:
        self.num_rows = 0


Kind = tuple[str, str, int, int, str]


class Tally:
    """Requests of one kind that are not counted yet."""

    __slots__ = ("buckets", "requests", "rows", "seconds")

    def __init__(self) -> None:
        self.requests = self.rows = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(SECONDS) + 1)


def count(record: RequestRecord) -> None:
    """Queue an answered request; those of 0.2 s are counted together.

    One update of the library's counters takes longer than most parts of a request, and
    as long for many requests of a kind as for one.
    """
    _answered.append(record)
    if len(_answered) >= MAX_WAITING:
        count_answered()
    elif not debouncer.is_scheduled:
        debouncer.trigger()


def count_load(model: str, is_good: bool) -> None:
    """Count a version that was loaded, or refused."""
    VERSION_LOADS.labels(model, "loaded" if is_good else "refused").inc()
    debouncer.trigger()


def count_labels(model: str, is_good: bool) -> None:
    """Count changed version labels that were adopted, or refused."""
    LABEL_CHANGES.labels(model, "adopted" if is_good else "refused").inc()
    debouncer.trigger()


def note_sessions(
    live: Mapping[str, int],
    expired: Mapping[str, int],
    newly_expired: Mapping[str, int],
    at: float,
) -> None:
    """Publish a count of the sessions in the store, by model.

    Args:
        live: How many are live, of each model that is or was counted.
        expired: How many have expired and are not forgotten, of the same models.
        newly_expired: How many have expired since the count before.
        at: When the count began, in seconds since the epoch.
    """
    for model, number in live.items():
        engine_metrics.LIVE_SESSIONS.labels(model).set(number)
        engine_metrics.EXPIRED_SESSIONS.labels(model).set(expired.get(model, 0))
        counter = engine_metrics.SESSIONS_EXPIRED.labels(model)
        counter.inc(newly_expired.get(model, 0))
    engine_metrics.SESSIONS_COUNTED.set(at)
    debouncer.trigger()


def count_all() -> None:
    """Count what was answered and called since the last time."""
    QUEUED_ROWS.set(under_way.num_rows)
    count_answered()
    tallies.publish()
    write_counts()


def count_answered() -> None:
    """Count the requests that were answered since the last time."""
    tallies: dict[Kind, Tally] = {}
    with suppress(IndexError):  # none is left
        while True:
            add_to(tallies, _answered.popleft())
    for kind, tally in tallies.items():
        route, model, version, status, code = kind
        labels = (route, model, str(version or ""), str(status), code)
        REQUESTS.labels(*labels).inc(tally.requests)
        seconds = REQUEST_SECONDS.labels(route, model)
        seconds.observe_many(tally.buckets, tally.seconds)
        if tally.rows:
            find_rows(model).inc(tally.rows)


_answered: deque[RequestRecord] = deque()
debouncer = Debouncer(count_all)
under_way = UnderWay()


def add_to(tallies: dict[Kind, Tally], record: RequestRecord) -> None:
    """Add a request to those of its kind."""
    model, version = record.model or "", record.version or 0
    kind = (record.route or "", model, version, record.status, record.code or "")
    tally = tallies.get(kind)
    if tally is None:
        tally = tallies[kind] = Tally()
    tally.requests += 1
    tally.rows += 0 if record.are_rows_counted else record.num_rows or 0
    tally.seconds += record.seconds
    tally.buckets[bisect_left(SECONDS, record.seconds)] += 1


def find_rows(model: str) -> Counter:
    """Find the counter of a model's rows."""
    return ROWS.labels(model)


def expose(num_stored: int | None = None) -> bytes:
    """Write all metrics, those of all workers where there are several.

    Args:
        num_stored: How many sessions are stored; None where that is not known now.
    """
    if num_stored is not None:
        engine_metrics.STORED_SESSIONS.set(num_stored)
    count_all()
    folder = find_metrics_folder()
    # Without room for its files it answers what it has counted itself.
    if folder is None or counts_alone():
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    with lock_folder(folder, fcntl.LOCK_SH):
        return generate_latest(registry)
