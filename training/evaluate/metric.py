"""Metric: a figure of a network next to those of its baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from training.data.dataset import Array

# From sequences (batch, timesteps[, columns]) to outputs (batch, timesteps, outputs).
Predict = Callable[[Array], Array]
# The trained network, among its baselines.
NETWORK = "network"
# A network before it was corrected: shown, and no baseline to beat.
AS_TRAINED = "as trained"


@dataclass(frozen=True)
class Metric:
    """One measured figure next to what simpler means reach on the same data.

    Args:
        name: What was measured, in words.
        value: The network's figure.
        unit: Its unit.
        baselines: The same figure by the name of the simpler means.
        better: Which way is better; `nominal` is nearest the share its name gives.
        verdict: What the verdict calls it; empty where it has no say.
        margin: The difference from the best baseline that chance alone exceeds in 1 of
            20 cases; 0 where that is not known.
    """

    name: str
    value: float
    unit: str
    baselines: Mapping[str, float] = field(default_factory=dict)
    better: Literal["lower", "higher", "nominal"] = "lower"
    verdict: str = ""
    margin: float = 0.0

    def find_best(self) -> tuple[str, float] | None:
        """Return the best baseline and its figure; None where none is finite."""
        found = {name: x for name, x in self.baselines.items() if math.isfinite(x)}
        if not found:
            return None
        choose = max if self.better == "higher" else min
        name = choose(found, key=lambda one: found[one])
        return name, found[name]

    def with_margin(self, margin: float) -> Metric:
        """Return it with another margin."""
        return replace(self, margin=margin)

    def with_verdict(self, verdict: str) -> Metric:
        """Return it with a say in the verdict."""
        return replace(self, verdict=verdict)

    def gain_over(self, figure: float) -> float:
        """Return by how much the network is better than a figure."""
        gain = self.value - figure
        return gain if self.better == "higher" else -gain
