"""Heads: from the memory after each event to what a network answers, and how far off.

Every head answers at every timestep, so that a network can be asked after any event.
Knows nothing of the layers below it, nor of training beyond the quantiles' loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from models.features import denormalise, normalise, split_fields
from models.gates import Tensor
from models.schemas import Schema

# ln of the longest time in seconds, 2,000 years: a float32 has no room for much more.
MAX_LOG = 25.0


def build_head(
    hidden: Tensor, sequence: Tensor, inputs: Schema, outputs: Schema
) -> Tensor:
    """Build the head an output schema asks for.

    Args:
        hidden: The last layer's output, float32 of shape (batch, timesteps, units).
        sequence: The encoded sequence.
        inputs: The input schema.
        outputs: The output schema.

    Returns:
        float32 of shape (batch, timesteps, labels), (batch, timesteps, horizon) or
        (batch, timesteps, horizon, quantiles).

    Raises:
        ValueError: The field to forecast is no numeric input.
    """
    return HEADS[outputs["kind"]](hidden, sequence, inputs, outputs)


def build_classifier(
    hidden: Tensor, sequence: Tensor, inputs: Schema, outputs: Schema
) -> Tensor:
    """Build a softmax over the labels at every timestep."""
    del sequence, inputs  # the event reaches a classifier through the memory only
    return keras.layers.Dense(len(outputs["labels"]), activation="softmax")(hidden)


def build_forecast(
    hidden: Tensor, sequence: Tensor, inputs: Schema, outputs: Schema
) -> Tensor:
    """Build a forecast of the next values as changes from the current one."""
    field, value = find_field(sequence, inputs, outputs["field"])
    current = normalise(value, field)  # (batch, timesteps, 1)
    quantiles = outputs.get("quantiles", ())
    change = keras.layers.Dense(outputs["horizon"] * max(1, len(quantiles)))(hidden)
    # Not change + current: Keras takes a right operand with one long axis for a bias,
    # and with three sequences and three quantiles adds it along the wrong axis.
    if not quantiles:
        return denormalise(current + change, field)
    return denormalise(current[..., None] + rise(change, len(quantiles)), field)


def build_duration(
    hidden: Tensor, sequence: Tensor, inputs: Schema, outputs: Schema
) -> Tensor:
    """Build quantiles of a time in seconds, from those of ln(1 + seconds)."""
    del sequence, inputs  # what is known of times reaches it through the memory
    num_quantiles = len(outputs["quantiles"])
    levels = rise(keras.layers.Dense(num_quantiles)(hidden), num_quantiles)[..., 0, :]
    # Softplus: never below 0, and unlike a maximum it has a slope everywhere.
    logs = ops.softplus(denormalise(levels, outputs))
    # Not expm1: programs do not have it.
    return ops.exp(ops.minimum(logs, MAX_LOG)) - 1.0


def rise(change: Tensor, num_quantiles: int) -> Tensor:
    """Turn free numbers into quantiles that cannot cross.

    The first block is the lowest quantile; each further one adds softplus(z) >= 0.

    Args:
        change: Float of shape (batch, timesteps, quantiles * horizon).
        num_quantiles: How many quantiles, the slowest axis of the packing.

    Returns:
        Float of shape (batch, timesteps, horizon, quantiles), never falling along the
        last axis.

    Reference: Park et al., Learning Quantile Functions without Quantile Crossing for
    Distribution-free Time Series Forecasting, AISTATS 2022,
    https://arxiv.org/abs/2111.06581.
    """
    lowest, *steps = ops.split(change, num_quantiles, axis=-1)
    levels = [lowest]
    for step in steps:
        # Not a sum: Keras takes an operand with one long axis for a bias, as those of
        # one value ahead are in a program of one row.
        levels.append(levels[-1] - -ops.softplus(step))
    return ops.stack(levels, axis=-1)


def pinball(target: Tensor, forecast: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Measure how far quantiles are off: the mean of max(q * e, (q - 1) * e).

    e = target - forecast. Its minimum is the quantile q of the target; at q = 0.5 it
    is half the absolute error.

    Args:
        target: Float of shape (batch, timesteps, horizon).
        forecast: Float of shape (batch, timesteps, horizon, quantiles).
        quantiles: Each between 0 and 1, rising.

    Returns:
        Float of shape (batch, timesteps), in the unit of the target.

    Reference: Koenker & Bassett, Regression Quantiles, Econometrica 46(1), 1978,
    doi 10.2307/1913643.
    """
    if len(forecast.shape) == len(target.shape):
        forecast = forecast[..., None]  # Keras drops the axis of a lone quantile
    error = target[..., None] - forecast
    level = ops.convert_to_tensor(quantiles, dtype=error.dtype)
    return ops.mean(ops.maximum(level * error, (level - 1) * error), axis=(-2, -1))


def find_field(
    sequence: Tensor, inputs: Schema, name: str
) -> tuple[dict[str, Any], Tensor]:
    """Find a numeric field's schema and its column, of shape (batch, timesteps, 1).

    Raises:
        ValueError: The inputs have no numeric field of that name.
    """
    fields = inputs.get("fields", ())
    for field, columns in split_fields(sequence, fields):
        if field["name"] == name and field["type"] == "number":
            return dict(field), columns
    names = [field["name"] for field in fields if field["type"] == "number"]
    choices = f"choose one of {', '.join(names)}" if names else "it has none"
    raise ValueError(f"{name!r} is no numeric field of the input; {choices}.")


# A label of the whole sequence is the label after its last event: the same softmax,
# trained on that event's target alone.
HEADS: Mapping[str, Callable[[Tensor, Tensor, Schema, Schema], Tensor]] = {
    "label": build_classifier,
    "sequence_label": build_classifier,
    "next_event": build_classifier,
    "forecast": build_forecast,
    "duration": build_duration,
}
