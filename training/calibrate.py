"""Calibration: what is added to a trained network, so that its answers keep their word.

Part of the network from here on: what is measured and exported is what is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from models.heads import find_field
from models.intervals import MOST_PENDING, adapt_intervals, count_pending
from training.baselines import predict_with
from training.config import CalibrationConfig, Config
from training.data.dataset import Dataset
from training.evaluate.metric import Predict
from training.evaluate.quantiles import AS_TRAINED
from training.report import say


def calibrate(
    network: keras.Model,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    config: CalibrationConfig,
) -> keras.Model:
    """Let the quantiles of a forecast correct themselves, where it has any."""
    pending = count_pending(outputs)
    if not config.intervals or not pending:
        return network
    if pending > MOST_PENDING:
        say(
            f"intervals stay as trained: {pending} numbers would wait for their "
            f"values, and a session carries {MOST_PENDING} at most"
        )
        return network
    field, value = find_field(network.input, inputs, outputs["field"])
    return adapt_intervals(network, value, field, outputs, config.intervals)


def correct(
    network: keras.Model, dataset: Dataset, config: Config, others: dict[str, Predict]
) -> tuple[keras.Model, dict[str, Predict]]:
    """Correct a trained network; what it was before stands beside the others."""
    corrected = calibrate(network, dataset.inputs, dataset.outputs, config.calibration)
    if corrected is network:
        return network, others
    return corrected, {**others, AS_TRAINED: predict_with(network)}
