"""Quantiles that correct themselves: a layer that remembers how often they were right.

The value that a forecast was made of arrives as an input of a later event, so that the
network can see, in every session, whether its quantiles keep their promise, and move
them. Knows nothing of streams; `models.forms` carries its memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models.chunk_loop import ChunkLoop
from models.gates import Tensor
from models.timesteps import FeatureReshape, Flat

# Numbers of the forecasts that wait for their values: horizon * horizon * quantiles.
MAX_PENDING = 4_096
# A value this near a quantile, in widths of the forecast, counts in part. Otherwise the
# rounding of two implementations could decide differently, and their memories part.
RAMP = 0.1
MIN_WIDTH = 1e-6


class IntervalCell(keras.layers.Layer):
    """A cell that moves quantiles by how often values were at or below them.

        hit = share of [y <= q'], of the forecast q' that was made of y
        b' = b + step * (level - hit)                for each value ahead and quantile
        q' = q + b' * width                          width of q: its highest - lowest

    A quantile that values exceed too often rises, and a quantile that they exceed too
    seldom falls: over time each holds as often as its level says, whatever the series
    does. Quantiles never cross: each is at least the one below it.

    Args:
        horizon: How many values ahead are forecast.
        quantiles: Their levels, rising.
        step: How far a quantile moves, in widths; above 0.

    Call arguments:
        inputs: The value and its forecasts, normalised, float of shape
            (batch, 1 + horizon * quantiles).
        states: b, (batch, horizon * quantiles); the forecasts that were made before,
            (batch, horizon * horizon * quantiles), the last first; and how many, up to
            the horizon, (batch, 1).

    Reference: Gibbs & Candes, Adaptive Conformal Inference Under Distribution Shift,
    NeurIPS 2021, https://arxiv.org/abs/2106.00170; on quantiles themselves as in
    Angelopoulos, Candes & Tibshirani, Conformal PID Control for Time Series Prediction,
    NeurIPS 2023, https://arxiv.org/abs/2307.16895.
    """

    def __init__(
        self, horizon: int, quantiles: Sequence[float], step: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.horizon = horizon
        self.quantiles = list(quantiles)
        self.step = step
        self.output_size = horizon * len(quantiles)
        self.state_size = [self.output_size, horizon * self.output_size, 1]

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Compare what was forecast with the value, and correct the new forecast."""
        del training  # not trained
        offsets, pending, count = states
        size, horizon = len(self.quantiles), self.horizon
        # Of the forecast made k events ago, what it said of now: k values ahead.
        blocks = [k * self.output_size + k * size for k in range(horizon)]
        due = [pending[:, start : start + size] for start in blocks]
        hits = [self.find_hits(inputs[:, :1], quantiles) for quantiles in due]
        levels = ops.convert_to_tensor([self.quantiles], dtype=inputs.dtype)
        moves = [
            self.step * (levels - hit) * ops.cast(count > k, inputs.dtype)
            for k, hit in enumerate(hits)
        ]
        offsets = offsets + ops.concatenate(moves, axis=-1)
        made = self.correct(inputs[:, 1:], offsets)
        pending = ops.concatenate([made, pending], axis=-1)[
            :, : horizon * self.output_size
        ]
        count = ops.minimum(count + 1.0, float(horizon))
        return made, [offsets, pending, count]

    def find_hits(self, value: Tensor, quantiles: Tensor) -> Tensor:
        """Return whether a value was at or below each quantile, 0 to 1."""
        reach = RAMP * measure_width(quantiles)
        return ops.clip((quantiles - value) / reach + 0.5, 0.0, 1.0)

    def correct(self, made: Tensor, offsets: Tensor) -> Tensor:
        """Move the quantiles of every value ahead."""
        size, parts = len(self.quantiles), []
        for start in range(0, self.output_size, size):
            quantiles = made[:, start : start + size]
            width = measure_width(quantiles)
            moved = quantiles + offsets[:, start : start + size] * width
            parts.append(moved[:, :1])
            for k in range(1, size):
                parts.append(ops.maximum(parts[-1], moved[:, k : k + 1]))
        return ops.concatenate(parts, axis=-1)


def measure_width(quantiles: Tensor) -> Tensor:
    """Return highest - lowest, (batch, 1); 1 standard deviation of a lone quantile."""
    width = quantiles[:, -1:] - quantiles[:, :1]
    if quantiles.shape[-1] == 1:
        return width + 1.0
    return ops.maximum(width, MIN_WIDTH)


@keras.saving.register_keras_serializable(package="carryover")
class AdaptiveIntervals(keras.layers.Layer):
    """Corrects the quantiles of a forecast event by event.

    Args:
        horizon: How many values ahead are forecast.
        quantiles: Their levels, rising.
        step: How far a quantile moves at an event, in widths of its forecast.
        mean: Of the field, as its normalisation has it.
        std: Of the field.

    Call arguments:
        value: The field, float of shape (batch, timesteps, 1).
        forecast: Of shape (batch, timesteps, horizon, quantiles).

    Output shape:
        (batch, timesteps, horizon, quantiles).
    """

    def __init__(
        self,
        horizon: int,
        quantiles: Sequence[float],
        step: float,
        mean: float,
        std: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.options: dict[str, Any] = {
            "horizon": horizon,
            "quantiles": list(quantiles),
            "step": step,
        }
        self.mean, self.std = mean, std

    @property
    def state_sizes(self) -> list[int]:
        """Sizes of the memory, in its order."""
        sizes: list[int] = IntervalCell(**self.options).state_size
        return sizes

    def build_loop(self, *, unroll: bool = False) -> keras.layers.RNN:
        """Build the loop over timesteps; it has no weights."""
        return ChunkLoop(
            IntervalCell(**self.options, dtype=self.dtype_policy),
            return_sequences=True,
            return_state=True,
            unroll=unroll,
            dtype=self.dtype_policy,
        )

    def pack(self, value: Tensor, forecast: Tensor) -> Tensor:
        """Lay value and forecast side by side, normalised."""
        joined = ops.concatenate([value, Flat()(forecast)], axis=-1)
        return (joined - self.mean) / self.std

    def unpack(self, corrected: Tensor) -> Tensor:
        """Give corrected forecasts their unit and axes."""
        shape = (self.options["horizon"], len(self.options["quantiles"]))
        return FeatureReshape(shape)(corrected * self.std + self.mean)

    def call(self, value: Tensor, forecast: Tensor) -> Tensor:
        """Run the cell over whole sequences, from their beginning."""
        corrected, *_ = self.build_loop()(self.pack(value, forecast))
        return self.unpack(corrected)

    def compute_output_shape(self, value_shape: Any, forecast_shape: Any) -> Any:
        """Return the shape of the forecast."""
        del value_shape
        return forecast_shape

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        own = {**self.options, "mean": self.mean, "std": self.std}
        return {**super().get_config(), **own}


def adapt_intervals(
    network: keras.Model, value: Tensor, field: Any, outputs: Any, step: float
) -> keras.Model:
    """Append the layer to a trained network that forecasts quantiles.

    Args:
        network: From `models.networks.build_network`.
        value: The forecast field of its sequence, of shape (batch, timesteps, 1).
        field: Its schema.
        outputs: The output schema.
        step: As of `AdaptiveIntervals`.
    """
    layer = AdaptiveIntervals(
        outputs["horizon"], outputs["quantiles"], step, field["mean"], field["std"]
    )
    return keras.Model(network.input, layer(value, network.output))


def count_pending(outputs: Any) -> int:
    """Count the numbers that wait for their values; 0 where nothing is to correct."""
    if outputs["kind"] != "forecast" or not outputs.get("quantiles"):
        return 0
    return int(outputs["horizon"] ** 2 * len(outputs["quantiles"]))
