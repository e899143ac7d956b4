"""Count right dinners, and how sure the network is of its least sure one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.data.dataset import Array, Examples
from training.evaluate.metric import Metric, Predict


def evaluate_roommate(
    held_out: Examples, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure accuracy and the smallest probability of a predicted dinner.

    Over every day, or over the last days where only those are asked for.
    """
    asked, days = held_out.weights > 0, held_out.sequences.shape[1]
    targets, predicted = held_out.targets[asked], predict(held_out.sequences)[asked]
    others = {name: one(held_out.sequences)[asked] for name, one in baselines.items()}
    right = {name: measure_accuracy(targets, others[name]) for name in others}
    return [
        Metric(
            f"right dinners, {days} days",
            measure_accuracy(targets, predicted),
            "share",
            {"majority": measure_majority(targets), **right},
            better="higher",
            verdict="right dinners",
        ),
        Metric(
            f"smallest probability of a predicted dinner, {days} days",
            measure_certainty(predicted),
            "probability",
            {name: measure_certainty(other) for name, other in others.items()},
            better="higher",
        ),
    ]


def measure_accuracy(targets: Array, predicted: Array) -> float:
    """Return the share of timesteps whose most probable label is the right one."""
    return float((predicted.argmax(axis=-1) == targets).mean())


def measure_majority(targets: Array) -> float:
    """Return the accuracy of always saying the most frequent label."""
    return float(np.bincount(targets.ravel()).max() / targets.size)


def measure_certainty(predicted: Array) -> float:
    """Return the smallest probability any timestep gives its most probable label."""
    return float(predicted.max(axis=-1).min())
