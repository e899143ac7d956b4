"""Numbers that a process adds up, and publishes to the client library later.

Counting in the library takes longer than most of what a request needs. A tally only
grows, so its one writer needs no lock; publishing adds what is new since the last time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from prometheus_client import Counter, Histogram

from service.telemetry.metrics_counts import replace_library_files

replace_library_files()

# From a step of a lone request to what a client gives up on.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_many(self, buckets: Sequence[int], total: float) -> None:
        """Add a number of observations to each bucket, and their sum."""
        self._sum.inc(total)
        for bucket, number in zip(self._buckets, buckets, strict=True):
            if number:
                bucket.inc(number)


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
