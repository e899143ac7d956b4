"""Explanations of the v1 dialect: gates and memories by layer, and their summary.

A summary is a few figures for the thousands of gate values of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.registry.catalog import Model

# What `explain` shows of a layer, in the order of the lesson; the names carry the
# layer's number after an underscore.
TRACES = {
    "learn": "learn",
    "candidate": "candidate",
    "forget": "forget",
    "use": "use",
    "update": "update",
    "reset": "reset",
    "trace_long_term": "long_term",
    "trace_short_term": "short_term",
}
# A gate that is nearly shut or nearly open: Karpathy, Johnson & Li, Visualizing and
# Understanding Recurrent Networks, 2015, https://arxiv.org/abs/1506.02078.
SHUT, OPEN = 0.1, 0.9
# What keeps the memory, per cell: f of the LSTM, z of the GRU.
KEEPERS = ("forget", "update")
GATES = ("learn", "forget", "use", "update", "reset")
# The smallest normal float32: keeps the logarithm of a probability finite.
MIN_PROBABILITY = 1.2e-38


def render_layers(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Group gates and memories by layer, each of shape (timesteps, units)."""
    layers: list[dict[str, Any]] = []
    while f"trace_short_term_{len(layers)}" in outputs:
        index = len(layers)
        layers.append(
            {
                shown: np.ascontiguousarray(outputs[f"{name}_{index}"])
                for name, shown in TRACES.items()
                if f"{name}_{index}" in outputs
            }
        )
    return layers


def render_digest(
    layers: Sequence[Mapping[str, np.ndarray]],
    outputs: Mapping[str, np.ndarray],
    model: Model,
    *,
    last_only: bool,
) -> dict[str, Any]:
    """Sum up an explanation: its gates per layer, and where its prediction is from.

    Args:
        layers: From `render_layers`.
        outputs: By name, each of shape (timesteps, ...).
        model: Who answered.
        last_only: Whether the last timestep's prediction is parted, or all.

    Returns:
        `layers`, and `event` and `memory`; a network exported without `alone_...`
        outputs has no parts to show.
    """
    digest: dict[str, Any] = {"layers": [digest_layer(layer) for layer in layers]}
    name = model.manifest.output["name"]
    if f"alone_{name}" not in outputs:
        return digest
    output, alone = (
        outputs[key][-1] if last_only else outputs[key]
        for key in (name, f"alone_{name}")
    )
    is_probability = model.manifest.labels is not None
    parts = split_prediction(output, alone, is_probability=is_probability)
    return digest | {
        part: np.ascontiguousarray(value) if value.ndim else value[()]
        for part, value in parts.items()
    }


def digest_layer(layer: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Sum up what the gates of one layer did.

    Args:
        layer: Gates and memories by name, each of shape (timesteps, units).

    Returns:
        `mean_forget`, the mean of the forget gate f (of the GRU's update gate, which is
        its); `half_life_events`, after how many events of such a gate half of a memory
        is left, ln 0.5 / ln f, None where nothing fades; and `saturated`, per gate the
        share of values below 0.1 or above 0.9. Nothing for a cell without gates.
    """
    digest: dict[str, Any] = {}
    for name in KEEPERS:
        if name in layer:
            mean = float(np.mean(layer[name], dtype="float64"))
            digest["mean_forget"] = mean
            digest["half_life_events"] = half_life(mean)
    saturated = {name: saturation(layer[name]) for name in GATES if name in layer}
    return digest | ({"saturated": saturated} if saturated else {})


def half_life(forget: float) -> float | None:
    """Return ln 0.5 / ln f events: 0 for a gate that is shut, None for one never."""
    if forget <= 0.0:
        return 0.0
    return None if forget >= 1.0 else math.log(0.5) / math.log(forget)


def saturation(gate: np.ndarray) -> float:
    """Return the share of a gate's values that are nearly shut or nearly open."""
    return float(np.mean((gate < SHUT) | (gate > OPEN)))


def split_prediction(
    output: np.ndarray, alone: np.ndarray, *, is_probability: bool
) -> dict[str, np.ndarray]:
    """Part a prediction in what the event says and what the memory adds.

    The event's part is what the network would say had nothing come before; the memory's
    is the rest, so that both add up to the prediction.

    Args:
        output: The prediction, of shape (..., labels) or any other.
        alone: The same of each event with an empty memory.
        is_probability: Whether to part centred logits, ln p less its mean over the
            labels, because probabilities do not add up; other values are parted as
            they are.

    Returns:
        `event` and `memory`, float32 of the output's shape.
    """
    if is_probability:
        output, alone = centre_logits(output), centre_logits(alone)
    return {
        "event": np.asarray(alone, "float32"),
        "memory": np.asarray(output - alone, "float32"),
    }


def centre_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return the logits of a softmax, shifted to mean 0 over the labels."""
    logits = np.log(np.maximum(probabilities, MIN_PROBABILITY, dtype="float64"))
    centred: np.ndarray = logits - logits.mean(axis=-1, keepdims=True)
    return centred
