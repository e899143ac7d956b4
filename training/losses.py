"""Losses of a network's outputs, by their schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import backend, losses, ops

from models.heads import pinball


def build_loss(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], smoothing: float = 0.0
) -> Any:
    """Choose the loss of an output: cross-entropy, or an error for forecasts.

    That is the absolute error, or the pinball loss of quantiles, in standard
    deviations of the field, so that one learning rate suits series of any unit. Of
    several heads it is a loss by the name of each output.

    Args:
        inputs: Input schema.
        outputs: Output schema.
        smoothing: Share of a target that is spread evenly over all labels.
    """
    if others := outputs.get("heads"):
        alone = {**outputs, "heads": ()}
        return {
            one["name"]: build_loss(inputs, one, smoothing) for one in (alone, *others)
        }
    if outputs["kind"] == "duration":
        return build_duration_loss(outputs)
    if outputs["kind"] != "forecast":
        return smooth(smoothing) if smoothing else "sparse_categorical_crossentropy"
    field = next(f for f in inputs["fields"] if f["name"] == outputs["field"])
    quantiles = outputs.get("quantiles")

    def error(target: Any, forecast: Any) -> Any:
        if quantiles:
            return pinball(target, forecast, quantiles) / field["std"]
        return ops.mean(ops.abs(target - forecast), axis=-1) / field["std"]

    return error


def build_duration_loss(outputs: Mapping[str, Any]) -> Any:
    """Make the pinball loss of ln(1 + seconds), in standard deviations of it."""

    def error(target: Any, made: Any) -> Any:
        target, made = (
            ops.log1p(x if len(x.shape) == 3 else x[..., None]) for x in (target, made)
        )  # (batch, timesteps, 1) and (batch, timesteps, quantiles)
        loss = pinball(target, made[..., None, :], outputs["quantiles"])
        return loss / outputs["std"]

    return error


def smooth(share: float) -> Any:
    """Make the cross-entropy with a target that is spread over all labels.

    (1 - share) * -ln p(target) + share * mean of -ln p(label) over the labels.

    Reference: Szegedy et al., Rethinking the Inception Architecture for Computer
    Vision, CVPR 2016, https://arxiv.org/abs/1512.00567.
    """

    def error(target: Any, made: Any) -> Any:
        right = losses.sparse_categorical_crossentropy(target, made)
        # What Keras clips probabilities at, so that none is infinitely wrong.
        clipped = ops.clip(made, backend.epsilon(), 1 - backend.epsilon())
        any_label = -ops.mean(ops.log(clipped), axis=-1)
        return (1 - share) * right + share * any_label

    return error
