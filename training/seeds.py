"""The same training with several seeds: how much of a figure is the seed's doing.

The data and their parts stay; first weights, dropout and the order of examples change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from training.evaluate.metric import Metric


class Spread(NamedTuple):
    """One figure over seeds.

    Args:
        name: Of the figure.
        unit: Its unit.
        values: In the order of the seeds, the published network's first.
    """

    name: str
    unit: str
    values: list[float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation between seeds, as of a sample."""
        return float(np.std(self.values, ddof=1))


def gather_spread(measured: Mapping[int, Sequence[Metric]]) -> list[Spread]:
    """Gather each figure over seeds, as far as all of them have it."""
    first, *others = measured.values()
    by_name = [{m.name: m.value for m in metrics} for metrics in others]
    return [
        Spread(m.name, m.unit, [m.value, *(one[m.name] for one in by_name)])
        for m in first
        if all(m.name in one for one in by_name)
    ]


def list_seeds(seed: int, count: int) -> list[int]:
    """Return the seeds: the configuration's, and those after it."""
    return [(seed + k) % 2**32 for k in range(count)]
