"""Metrics of the engine, the sessions and the store; see `service.telemetry.metrics`.

Each is tallied where it happens (`service.telemetry.tallies`) and published with the
requests that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram

from service.telemetry.metrics_counts import replace_library_files

Served = tuple[int, str]

replace_library_files()

# From a step of a lone request to what a client gives up on.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
# A call of a compiled program takes microseconds.
CALL_SECONDS = (0.00002, 0.00005, 0.0001, 0.0002, *SECONDS)
ROWS_IN_A_CALL = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# In nats: of an event that was certain, one of two, ... one in 20,000.
NATS = (0.01, 0.1, 0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)

OPERATIONS = ("fetch", "commit", "forget")


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_many(self, buckets: Sequence[int], total: float) -> None:
        """Add a number of observations to each bucket, and their sum."""
        self._sum.inc(total)
        for bucket, number in zip(self._buckets, buckets, strict=True):
            if number:
                bucket.inc(number)


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
