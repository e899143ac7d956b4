"""What stands in for each kind of layer when a network streams.

A layer that treats every timestep alone stands for itself. One that remembers gets its
memory from the call and hands it back. One that needs the future is refused, with the
reason and what to use instead. Knows no whole networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from models.clock import PREVIOUS_SIZE, TimeSincePrevious, mark_events
from models.gates import Tensor
from models.per_sequence import advance_per_sequence, is_tensor
from models.refusals import CannotStream, describe, refuse_unstreamable
from models.stream import Stream
from models.tracing import TracingCell

# State order (h, c), as Keras has it.
STATE_NAMES = ("short_term", "long_term")


def find_form(operation: Any, stream: Stream) -> Callable[..., Any]:
    """Return what stands in for a layer or operation of the graph.

    Raises:
        CannotStream: Nothing can.
    """

    def form(*args: Any, **kwargs: Any) -> Any:
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if is_tensor(x)]
        late = [x for x in tensors if id(x) in stream.per_sequence]
        if late:
            return advance_per_sequence(operation, stream, tensors, late, args, kwargs)
        refuse_unstreamable(operation)
        for kind, advance in FORMS.items():
            if isinstance(operation, kind):
                return advance(operation, stream, *args, **kwargs)
        return operation(*args, **kwargs)

    return form


def advance_recurrent(
    layer: keras.layers.RNN, stream: Stream, hidden: Tensor, **_: Any
) -> Tensor:
    """Call a recurrent layer's cells with their memories handed in and out.

    Stacked cells are advanced one after another over all timesteps, which is the same.
    """
    is_stack = isinstance(layer.cell, keras.layers.StackedRNNCells)
    mask = keras.src.backend.get_keras_mask(hidden)
    mask = stream.mask if mask is None else ops.logical_and(stream.mask, mask)
    output = hidden
    for cell in layer.cell.cells if is_stack else [layer.cell]:
        output = advance_cell(cell, layer, stream, output, mask)
    if not layer.return_sequences:
        stream.per_sequence[id(output)] = output
    return output


def advance_cell(
    cell: Any, layer: keras.layers.RNN, stream: Stream, hidden: Tensor, mask: Tensor
) -> Tensor:
    """Run one cell over the timesteps."""
    index = stream.count("short_term_")
    sizes = [cell.state_size] if isinstance(cell.state_size, int) else cell.state_size
    if len(sizes) > len(STATE_NAMES):
        raise CannotStream(
            f"{describe(layer)} has a cell with {len(sizes)} memories; a stream "
            "carries a short-term and a long-term one. Join them into two."
        )
    names = [f"{name}_{index}" for name in STATE_NAMES[: len(sizes)]]
    before = [
        stream.remember(name, (size,)) for name, size in zip(names, sizes, strict=True)
    ]
    remembering = keras.layers.RNN(
        cell,
        return_sequences=True,
        return_state=True,
        unroll=stream.is_unrolled,
        zero_output_for_mask=layer.zero_output_for_mask,
        dtype=cell.dtype_policy,
    )
    output, *after = remembering(hidden, initial_state=before, mask=mask)
    stream.after.update(zip(names, after, strict=True))
    if stream.is_explained:
        add_trace(
            TracingCell(cell, dtype=cell.dtype_policy), stream, hidden, before, mask
        )
    if layer.zero_output_for_mask:
        return output
    # Keras repeats the last output where the mask is false, but before the first event
    # of a call it knows none: there the output is what the memory says.
    seen = ops.cumsum(ops.cast(mask, "int32"), axis=1)[..., None] > 0
    return ops.where(seen, output, before[0][:, None])


def add_trace(
    cell: TracingCell,
    stream: Stream,
    hidden: Tensor,
    before: Sequence[Tensor],
    mask: Tensor,
) -> None:
    """Run a cell's readable twin beside it, on the same events and memory."""
    index = stream.count("short_term_") - 1
    tracing = keras.layers.RNN(
        cell,
        return_sequences=True,
        unroll=stream.is_unrolled,
        dtype=cell.dtype_policy,
    )
    packed = tracing(hidden, initial_state=list(before), mask=mask)
    parts = ops.split(packed, len(cell.names), axis=-1)
    stream.traces.update(
        (f"{name}_{index}", part) for name, part in zip(cell.names, parts, strict=True)
    )


def advance_convolution(
    layer: keras.layers.Conv1D, stream: Stream, hidden: Tensor
) -> Tensor:
    """Convolve with the last inputs of the call before, which are its memory."""
    reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    if reach == 0:
        return layer(hidden)
    name = f"buffer_{stream.count('buffer_')}"
    buffer = stream.remember(name, (reach, hidden.shape[-1]))
    joined = ops.concatenate([buffer, hidden], axis=1)
    # The `reach` inputs before the first timestep of padding.
    last = stream.length[:, None] + ops.arange(reach, dtype="int32")[None]
    stream.after[name] = ops.take_along_axis(joined, last[..., None], axis=1)
    return Convolve(layer, dtype=layer.dtype_policy)(joined)


class Convolve(keras.layers.Layer):
    """Applies a causal convolution to inputs that already hold what came before.

    Args:
        convolution: The layer whose weights are borrowed.

    Call arguments:
        inputs: float of shape (batch, reach + timesteps, features).

    Output shape:
        (batch, timesteps, filters).
    """

    def __init__(self, convolution: keras.layers.Conv1D, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convolution = convolution

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve without padding."""
        layer = self.convolution
        output = ops.conv(
            inputs, layer.kernel, padding="valid", dilation_rate=layer.dilation_rate
        )
        output = output + layer.bias if layer.use_bias else output
        return layer.activation(output) if layer.activation else output


def advance_clock(layer: TimeSincePrevious, stream: Stream, times: Tensor) -> Tensor:
    """Compare the first time of a call with the last of the call before."""
    name = f"previous_time_{stream.count('previous_time_')}"
    previous = stream.remember(name, (PREVIOUS_SIZE,))
    joined = ops.concatenate([previous[:, None], mark_events(times)], axis=1)
    last = stream.length[:, None, None]
    stream.after[name] = ops.take_along_axis(joined, last, axis=1)[:, 0]
    return layer(times, previous=previous)


# The kinds of layers that remember; every other stands for itself.
FORMS: dict[type, Callable[..., Tensor]] = {
    keras.layers.RNN: advance_recurrent,
    keras.layers.Conv1D: advance_convolution,
    TimeSincePrevious: advance_clock,
}
