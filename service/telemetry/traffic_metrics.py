"""Metrics of a version on trial: its share, and how its answers compare as a shadow."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from prometheus_client import Counter, Gauge

from service.telemetry.engine_metrics import NATS, BulkHistogram
from service.telemetry.tallies import CounterTally, HistogramTally, find_counter, keep

# Of probabilities, from the same to the opposite; differences of numbers have any size.
DIFFERENCES = (1e-6, 1e-4, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0, 100.0)
COMPARED, DROPPED, FAILED = OUTCOMES = ("compared", "dropped", "failed")
LIVE_ANSWER, SHADOW_ANSWER = ANSWERS = ("live", "shadow")

TRAFFIC_SHARE = Gauge(
    "carryover_traffic_share",
    "Share of sessions that begin on a canary, or that a shadow follows.",
    ("model", "version", "part"),
    multiprocess_mode="livemostrecent",
)
SHADOW_ROWS = Counter(
    "carryover_shadow_rows",
    "Rows for a shadow: compared, dropped unseen, or failed.",
    ("model", "version", "outcome"),
)
SHADOW_AGREED = Counter(
    "carryover_shadow_agreed_rows",
    "Compared rows with the same most probable and decided labels.",
    ("model", "version"),
)
SHADOW_DIFFERENCE = BulkHistogram(
    "carryover_shadow_difference",
    "Largest difference of a compared row's answers.",
    ("model", "version"),
    buckets=DIFFERENCES,
)
SHADOW_SURPRISE = BulkHistogram(
    "carryover_shadow_surprise",
    "Surprise of compared rows, live and of the shadow, in nats.",
    ("model", "version", "answer"),
    buckets=NATS,
)

# Version, part and share.
Part = tuple[int, str, float]


class ShadowTally:
    """Comparison of a shadow's answers with the live ones.

    Attributes:
        rows: Their number by outcome.
        agreed: Those with the same decision.
        difference: Between the answers.
        surprise: Of the live answers and of the shadow's.
    """

    __slots__ = ("agreed", "difference", "rows", "surprise")

    def __init__(self, model: str, version: str) -> None:
        self.rows: dict[str, CounterTally] = {
            outcome: find_counter(SHADOW_ROWS, model, version, outcome)
            for outcome in OUTCOMES
        }
        self.agreed = find_counter(SHADOW_AGREED, model, version)
        difference = SHADOW_DIFFERENCE.labels(model, version)
        self.difference = HistogramTally(difference, DIFFERENCES)
        self.surprise = {
            answer: HistogramTally(SHADOW_SURPRISE.labels(model, version, answer), NATS)
            for answer in ANSWERS
        }

    def publish(self) -> None:
        """Publish the histograms; counters publish themselves."""
        for tally in (self.difference, *self.surprise.values()):
            tally.publish()


@cache
def find_shadow_tally(model: str, version: int) -> ShadowTally:
    """Find what counts for a shadow; its counts are shown as 0 until there are any."""
    return keep(ShadowTally(model, str(version)))


def note_traffic(name: str, before: Iterable[Part], after: Iterable[Part]) -> None:
    """Set the shares of a model's versions, and those of former ones to 0."""
    for version, part, _ in before:
        TRAFFIC_SHARE.labels(name, str(version), part).set(0)
    for version, part, share in after:
        TRAFFIC_SHARE.labels(name, str(version), part).set(share)
        if part == "shadow":
            find_shadow_tally(name, version)
