"""Measure what a log was asked: each task by its own figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.data.heads import HeldOutLabels
from training.evaluate.events import evaluate_events
from training.evaluate.labels import evaluate_labels
from training.evaluate.metric import Metric, Predict


def evaluate_tasks(
    held_out: Any, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure a network on the test part of its task."""
    if isinstance(held_out, HeldOutLabels):
        return evaluate_labels(held_out, predict, baselines)
    return evaluate_events(held_out, predict, baselines)
