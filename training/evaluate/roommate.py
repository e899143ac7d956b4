"""Count right dinners, and how sure the network is of its least sure one."""

from __future__ import annotations

from collections.abc import Mapping

from training.data.dataset import Array
from training.data.roommate import HeldOutWeather
from training.evaluate.metric import Metric, Predict


def evaluate_roommate(
    held_out: HeldOutWeather, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure accuracy and the smallest probability of a predicted dinner.

    Over every day, or over the last days where only those are asked for.
    """
    examples = held_out.examples
    asked, days = examples.weights > 0, examples.sequences.shape[1]
    targets, predicted = examples.targets[asked], predict(examples.sequences)[asked]
    others = {name: one(examples.sequences)[asked] for name, one in baselines.items()}
    right = {name: measure_accuracy(targets, others[name]) for name in others}
    return [
        Metric(
            f"right dinners, {days} days",
            measure_accuracy(targets, predicted),
            "share",
            {"majority": measure_majority(targets, held_out.shares), **right},
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
    """Return the share of timesteps with the right label as the most probable."""
    return float((predicted.argmax(axis=-1) == targets).mean())


def measure_majority(targets: Array, shares: Array) -> float:
    """Return the accuracy of always saying what training asks for most often."""
    return float((targets == shares.argmax()).mean())


def measure_certainty(predicted: Array) -> float:
    """Return the smallest probability any timestep gives its most probable label."""
    return float(predicted.max(axis=-1).min())
