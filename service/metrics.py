"""The service's metrics, in Prometheus's form, added up over all workers.

Names are of the service, units are seconds, bytes or counts, and no session's id is a
label. With several workers each counts in files of its own, which the client library
maps into memory (its multiprocess mode); whoever is asked adds them up.
"""

from __future__ import annotations

import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

# Where the library looks for the folder; it must be set before it is imported.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

from prometheus_client import (  # noqa: E402
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

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


def prepare_folder(folder: Path) -> None:
    """Make an empty folder for the workers' counts; in the process that starts them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)


def count(told: Told, seconds: float) -> None:
    """Count an answered request."""
    manifest = told.model.manifest if told.model else None
    name = manifest.name if manifest else ""
    version = manifest.version if manifest else 0
    requests, durations = find_request(
        told.route or "", name, version, told.status, told.code or ""
    )
    requests.inc()
    durations.observe(seconds)
    if told.num_rows and not told.are_rows_counted:
        find_rows(name).inc(told.num_rows)


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
    if FOLDER_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
