"""The v1 dialect's explanations: gates and memories by layer, and what they come to.

Knows the names of the signature `explain`; computes nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.api.v1.gate_summary import digest_layer, split_prediction
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
