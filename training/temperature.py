"""Temperature: one scalar that makes a classifier as sure as its hits allow.

Fitted on the validation part and multiplied into the weights of the softmax layer, so
that every form of the network has it and no answer takes longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from training.data.dataset import Array
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.evaluate.guesses import MIN_PROBABILITY, cut_calls
from training.evaluate.metric import Predict

COLDEST, HOTTEST = 0.05, 20.0
# Probabilities that are kept to fit it: 64 MB.
MAX_PROBABILITIES = 8_000_000
SEARCH_STEPS = 60
GOLDEN = (math.sqrt(5) - 1) / 2


def list_classified(outputs: Mapping[str, Any], held_out: Any) -> dict[str, Any]:
    """List what measures the classifiers of a network, by the name of their output."""
    parts = {outputs["name"]: held_out}
    if isinstance(held_out, HeldOutHeads):
        parts = held_out.by_name
    return {
        name: part
        for name, part in parts.items()
        if isinstance(part, HeldOutEvents | HeldOutLabels)
        and part.validation.weights.any()
    }


def fit_temperature(held_out: HeldOutEvents | HeldOutLabels, predict: Predict) -> float:
    """Find the temperature with the least surprise on the validation part.

    That is the T of softmax(z / T) that minimises the mean of -ln p. In 1 / T it is
    convex, so that a golden-section search finds it.

    Reference: Guo, Pleiss, Sun & Weinberger, On Calibration of Modern Neural Networks,
    ICML 2017, https://arxiv.org/abs/1706.04599.
    """
    logs, given = gather_logs(held_out, predict)
    if not len(given):
        return 1.0

    def surprise(inverse: float) -> float:
        # Logs of probabilities are logits, but for a constant of each event.
        scaled = inverse * logs
        highest = scaled.max(axis=1)
        total = np.log(np.exp(scaled - highest[:, None]).sum(axis=1)) + highest
        return float((total - inverse * given).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(SEARCH_STEPS):
        third, fourth = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if surprise(third) <= surprise(fourth):
            high = fourth
        else:
            low = third
    return 2.0 / (low + high)


def gather_logs(
    held_out: HeldOutEvents | HeldOutLabels, predict: Predict
) -> tuple[Array, Array]:
    """Return the logs of the probabilities at each event, and of what came there.

    Of a large validation part those of its longest sequences.
    """
    size = len(held_out.labels)
    logs, given, count = [np.zeros((0, size))], [np.zeros(0)], 0
    for examples, _ in cut_calls(held_out.validation, size):
        # A label that training does not have says nothing of a temperature.
        asked = (examples.weights > 0) & (examples.targets < size)
        probabilities = predict(examples.sequences)[asked].astype(np.float64)
        logs.append(np.log(np.maximum(probabilities, MIN_PROBABILITY)))
        given.append(logs[-1][np.arange(asked.sum()), examples.targets[asked]])
        count += probabilities.size
        if count >= MAX_PROBABILITIES:
            break
    return np.concatenate(logs), np.concatenate(given)


def scale_logits(network: keras.Model, name: str, temperature: float) -> None:
    """Divide the logits of one output by a temperature, in the layer's weights."""
    output = network.output
    tensor = output[name] if isinstance(output, dict) else output
    layer = next(layer for layer in network.layers if layer.output is tensor)
    layer.set_weights([array / temperature for array in layer.get_weights()])
