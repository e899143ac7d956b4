"""What a measurement is. Does not know what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from training.data.dataset import Array

# From sequences (batch, timesteps[, columns]) to outputs (batch, timesteps, outputs).
Predict = Callable[[Array], Array]


@dataclass(frozen=True)
class Metric:
    """One measured figure beside what simpler means reach on the same data.

    Args:
        name: What was measured, in words.
        value: The network's figure.
        unit: Its unit.
        baselines: The same figure by the name of the simpler means.
        better: Which way is better; `nominal` is nearest the share its name gives.
    """

    name: str
    value: float
    unit: str
    baselines: Mapping[str, float] = field(default_factory=dict)
    better: Literal["lower", "higher", "nominal"] = "lower"
