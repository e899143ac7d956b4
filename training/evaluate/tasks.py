"""Figures of a log's tasks, each task by its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from training.data.dataset import Array
from training.data.durations import HeldOutTimes
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.evaluate.durations import evaluate_times
from training.evaluate.events import evaluate_events
from training.evaluate.labels import evaluate_labels
from training.evaluate.metric import Metric, Predict

MEASURES: Mapping[type, Callable[..., list[Metric]]] = {
    HeldOutEvents: evaluate_events,
    HeldOutLabels: evaluate_labels,
    HeldOutTimes: evaluate_times,
}


def evaluate_tasks(
    held_out: Any, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure a network on the test part of its task, or of each of its tasks.

    Of several tasks the first decides whether the network is worth it.
    """
    if not isinstance(held_out, HeldOutHeads):
        return MEASURES[type(held_out)](held_out, predict, baselines)
    metrics: list[Metric] = []
    for name, own in held_out.by_name.items():
        others = {other: select(one, name) for other, one in baselines.items()}
        measured = MEASURES[type(own)](own, select(predict, name), others)
        taken = {metric.name for metric in metrics}
        metrics += [
            replace(one, name=f"{name}: {one.name}") if one.name in taken else one
            for one in measured
        ]
    return metrics


def select(predict: Predict, name: str) -> Predict:
    """Take one of the outputs that a network predicts by name."""

    def predict_one(sequences: Array) -> Array:
        outputs: Any = predict(sequences)
        output: Array = outputs[name]
        return output

    return predict_one
