"""Rounding of a network: the size of its effect on the outputs.

A variance of numbers that are large and nearly equal is made of rounding: the network
itself says something else of them in a batch of another size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from models.keras_graph import find_graph, find_operations
from models.windows import Windowed

# Of an output, relative to its size where that is above 1: float32 rounds a hundred
# times finer, and operations that mixed timesteps were seen to differ by 0.2 and more.
TOLERANCE = 1e-5
# The last digit of a half, relative to its size.
HALVES = {"float16": 2**-10, "bfloat16": 2**-7}
# Of an event, as far as float32 knows it, and how many such changes are tried.
LAST_DIGITS = 2**-21
NUDGES = 4


def measure_rounding(
    call: Callable[[Any], Any], events: Any, expected: Any, exact: Sequence[float]
) -> Any:
    """Measure how far each event's outputs move with its last digits.

    Args:
        call: From events to outputs.
        events: Of shape (batch, timesteps, columns); indices have no last digits.
        expected: The outputs of these events.
        exact: Values that stay, such as masked ones: near them is not the same.

    Returns:
        The largest move; the last axis of `expected` has size 1.
    """
    slack = np.zeros_like(expected)
    if not np.issubdtype(events.dtype, np.floating):
        return slack
    rng = np.random.default_rng(0)
    is_exact = np.isin(events, exact)
    for _ in range(NUDGES):
        nudge = rng.choice([-LAST_DIGITS, 0.0, LAST_DIGITS], events.shape)
        nudge[is_exact] = 0.0
        moved = call((events * (1 + nudge)).astype(events.dtype))
        slack = np.maximum(slack, np.abs(moved - expected))
    return slack.max(axis=-1, keepdims=True) if slack.ndim > 1 else slack


def leave_out_nonfinite(got: Any, expected: Any) -> tuple[Any, Any]:
    """Return both with zeros where neither is finite: an answer is refused there."""
    both = ~(np.isfinite(got) | np.isfinite(expected))
    return np.where(both, 0, got), np.where(both, 0, expected)


def tolerance(network: keras.Model) -> float:
    """Return how far outputs may be off: of halves, a few of their last digits."""
    names = {layer.compute_dtype for layer in network._flatten_layers()}
    return max([TOLERANCE, *(4 * HALVES[n] for n in names if n in HALVES)])


def find_mask_values(network: keras.Model) -> list[float]:
    """List the values a model compares its inputs with, as masks do, and pads with."""
    values = {0.0}
    for operation in find_operations(find_graph(network)):
        if isinstance(operation, keras.layers.Masking):
            values.add(float(operation.mask_value))
        if isinstance(operation, Windowed):
            values |= {float(operation.padding), *find_mask_values(operation.inner)}
        if type(operation).__name__ in ("NotEqual", "Equal"):
            for node in operation._inbound_nodes:
                given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
                values |= {float(x) for x in given if isinstance(x, (int, float))}
    return sorted(values, key=lambda value: value != 0)
