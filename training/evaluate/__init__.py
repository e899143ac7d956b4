"""How well a network does on held-out data, one evaluation per data source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from training.evaluate.metric import Metric, Predict
from training.evaluate.nature import evaluate_nature
from training.evaluate.roommate import evaluate_roommate
from training.evaluate.series import evaluate_series

# (held-out data, the network, trained baselines by name) -> metrics
Evaluation = Callable[[Any, Predict, Mapping[str, Predict]], list[Metric]]

EVALUATIONS: Mapping[str, Evaluation] = {
    "series": evaluate_series,
    "nature": evaluate_nature,
    "roommate": evaluate_roommate,
}
