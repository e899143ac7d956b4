"""A model on the last N events, padded in front, as `model.predict` takes them.

Serves any model of N timesteps, whatever it does with them. The last N - 1 events are
memory, in the form the network takes them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.gates import Tensor
from models.stream import Stream
from models.timesteps import Unmasked, apply_per_timestep


class Windowed(Unmasked):
    """Applies a model to the last events of a sequence.

    Args:
        inner: From a window, as the network's sequences are, to outputs.
        size: Events in a window, at least 2.
        padding: The number that stands before the first event.

    Call arguments:
        inputs: A sequence, of shape (batch, timesteps) or (batch, timesteps, columns).
    """

    def __init__(
        self, inner: keras.Model, size: int, padding: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        self.size = size
        self.padding = padding

    def call(self, inputs: Tensor) -> Any:
        """Pad in front, and apply the model to the last window."""
        before = [(0, 0), (self.size, 0)] + [(0, 0)] * (len(inputs.shape) - 2)
        # TensorFlow pads indices with integers only.
        is_index = keras.backend.is_int_dtype(inputs.dtype)
        padding = int(self.padding) if is_index else self.padding
        padded = ops.pad(inputs, before, constant_values=padding)
        # Some layers need a number of timesteps that is known.
        shape = (-1, self.size, *inputs.shape[2:])
        window = ops.reshape(padded[:, -self.size :], shape)
        # Layers that augment pictures take part in training by default.
        return self.inner(window, training=False)


def advance_window(layer: Windowed, stream: Stream, sequence: Tensor) -> Any:
    """Apply the model to the window that ends at each event."""
    is_index = len(sequence.shape) == 2
    events = ops.cast(sequence, stream.dtype)
    events = events[..., None] if is_index else events
    reach = layer.size - 1
    before = recall(layer, stream, reach, events.shape[-1])
    joined = ops.concatenate([before, events], axis=1)
    last = stream.length[:, None] + ops.arange(reach, dtype="int32")[None]
    after = ops.take_along_axis(joined, last[..., None], axis=1)
    stream.keep([f"window_{stream.count('window_') - 1}"], [after])
    starts = range(layer.size)
    windows = ops.stack([joined[:, k : (k - reach) or None] for k in starts], axis=2)
    windows = ops.cast(windows[..., 0] if is_index else windows, sequence.dtype)
    results = apply_per_timestep(layer.inner, (windows,), {"training": False})
    return keras.tree.map_structure(stream.mark_late, results)


def recall(layer: Windowed, stream: Stream, reach: int, columns: int) -> Tensor:
    """Return the events before the call, with padding before the first of them."""
    before = stream.remember(f"window_{stream.count('window_')}", (reach, columns))
    if not layer.padding:
        return before  # memory that has not begun is zeros already
    name = f"count_{stream.count('count_')}"
    count = stream.remember(name, (1,))
    length = ops.cast(stream.length, stream.dtype)[:, None]
    # More than a window need not be counted.
    stream.keep([name], [ops.minimum(count + length, float(layer.size))])
    place = ops.arange(reach, dtype=stream.dtype)[None]
    known = count + place >= float(reach)
    return ops.where(known[..., None], before, layer.padding)
