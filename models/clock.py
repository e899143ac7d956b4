"""Time since the previous event, as a feature: a layer that remembers one time.

Knows nothing of streams; `models.streaming` carries the previous time as memory.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.gates import Tensor

SECONDS_PER_DAY = 86_400.0
# Days, seconds of the day, and whether there was an event.
PREVIOUS_SIZE = 3


@keras.saving.register_keras_serializable(package="carryover")
class TimeSincePrevious(keras.layers.Layer):
    """Layer for the time since the previous event: ln(1 + seconds), 0 for the first.

    Logarithmic, because what follows a second and what follows a month differ in kind,
    not in degree.

    Call arguments:
        inputs: Days since 1970-01-01 and seconds of the day, float32 of shape
            (batch, timesteps, 2).
        previous: The same of the event before the first timestep, and 1, float32 of
            shape (batch, 3); zeros where there was none. A flag of its own, because
            midnight of 1970-01-01 is (0, 0) and earlier days are negative.

    Output shape:
        (batch, timesteps, 1).
    """

    def call(self, inputs: Tensor, previous: Tensor | None = None) -> Tensor:
        """Compare every time with the one before it."""
        events = mark_events(inputs)
        before = ops.zeros_like(events[:, :1])
        if previous is not None:
            before = previous[:, None]
        earlier = ops.concatenate([before, events[:, :-1]], axis=1)
        elapsed = inputs - earlier[..., :2]
        # Days and seconds apart: their sum since 1970 would not fit a float32.
        seconds = elapsed[..., :1] * SECONDS_PER_DAY + elapsed[..., 1:]
        has_previous = earlier[..., 2:] > 0
        return ops.where(has_previous, ops.log1p(ops.maximum(seconds, 0.0)), 0.0)

    def compute_output_shape(self, input_shape: Any, **_: Any) -> tuple[Any, ...]:
        """Return (batch, timesteps, 1)."""
        return (*input_shape[:-1], 1)


def mark_events(times: Tensor) -> Tensor:
    """Append a column of ones to times: there was an event."""
    return ops.concatenate([times, ops.ones_like(times[..., :1])], axis=-1)
