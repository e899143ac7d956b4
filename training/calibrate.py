"""Calibration: what is added to a trained network, so that its answers keep their word.

Part of the network from here on: what is measured and exported is what is served.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

from models.heads import find_field
from models.intervals import MAX_PENDING, adapt_intervals, count_pending
from models.networks import build_network
from training.baselines import predict_with
from training.config import CalibrationConfig, Config
from training.data.dataset import Dataset
from training.errors import ConfigError
from training.evaluate.metric import AS_TRAINED, Metric, Predict
from training.evaluate.tasks import select
from training.report import say
from training.temperature import fit_temperature, list_classified, scale_logits


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
    if pending > MAX_PENDING:
        say(
            f"intervals stay as trained: {pending} numbers would wait for their "
            f"values, and a session carries {MAX_PENDING} at most"
        )
        return network
    field, value = find_field(network.input, inputs, outputs["field"])
    return adapt_intervals(network, value, field, outputs, config.intervals)


class Corrected(NamedTuple):
    """A trained network that was corrected.

    Args:
        network: To be measured and exported.
        others: What it is compared with; what it was before is one of them.
        metrics: Temperatures by output, if any was fitted.
    """

    network: keras.Model
    others: dict[str, Predict]
    metrics: list[Metric]


def check_calibration(dataset: Dataset, config: CalibrationConfig) -> None:
    """Refuse a temperature that there is nothing to fit on, before the training.

    Raises:
        ConfigError: No output is a classifier with a validation part.
    """
    if config.temperature and not list_classified(dataset.outputs, dataset.held_out):
        raise ConfigError(
            "calibration.temperature is true; expected false where no label or next "
            "event has a validation part. Leave it out, or set data.validation."
        )


def correct(
    network: keras.Model, dataset: Dataset, config: Config, others: dict[str, Predict]
) -> Corrected:
    """Correct a trained network; what it was before is one of the others then."""
    if config.calibration.temperature:
        return cool(network, dataset, config, others)
    corrected = calibrate(network, dataset.inputs, dataset.outputs, config.calibration)
    if corrected is network:
        return Corrected(network, others, [])
    return Corrected(corrected, {**others, AS_TRAINED: predict_with(network)}, [])


def cool(
    network: keras.Model, dataset: Dataset, config: Config, others: dict[str, Predict]
) -> Corrected:
    """Fit a temperature to each classifier of a network, and divide its logits by it.

    `network` stays as trained; the corrected one is a copy.
    """
    copy = build_network(
        dataset.inputs, dataset.outputs, **dataclasses.asdict(config.network)
    )
    copy.set_weights(network.get_weights())
    trained = predict_with(network)
    metrics = []
    for name, part in list_classified(dataset.outputs, dataset.held_out).items():
        is_alone = part is dataset.held_out
        one = trained if is_alone else select(trained, name)
        temperature = fit_temperature(part, one)
        scale_logits(copy, name, temperature)
        of = "" if is_alone else f" of {name}"
        metrics.append(
            Metric(
                f"temperature{of}, fitted on validation",
                temperature,
                "1: as trained",
                better="nominal",
            )
        )
    return Corrected(copy, {**others, AS_TRAINED: trained}, metrics)
