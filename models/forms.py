"""Streaming forms of layers: the replacement of each kind when a network streams.

A tensor of the network with timesteps has them in the stream. One without, such as a
last output, has them too: what it would be if the sequence ended at each event. It is
called late, and operations on late tensors are applied per timestep. On the others a
layer that treats every timestep alone stands for itself, one that remembers gets its
memory from the call and hands it back, and one that needs the future is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from models.clock import PREVIOUS_SIZE, TimeSincePrevious, mark_events
from models.gates import Tensor
from models.intervals import AdaptiveIntervals
from models.layer_kinds import WINDOW
from models.recurrent import advance_recurrent
from models.refusals import (
    CannotStream,
    describe,
    refuse_failure,
    refuse_states,
    refuse_unstreamable,
)
from models.running import Reduction, advance_reduction, find_reduction
from models.statics import (
    FilledStatics,
    RepeatedStatic,
    StaticValue,
    advance_filling,
    advance_repeated,
    advance_static,
    find_initial,
    spread_statics,
)
from models.stream import Stream
from models.timesteps import (
    LastStep,
    apply_per_timestep,
    at_rest,
    distribute,
    find_tensors,
)
from models.windows import Windowed, advance_window

# The first timestep, and the last: keys of the axis of timesteps.
FIRST = (0, slice(None, 1), slice(0, 1), slice(0, 1, 1))
LAST = (-1, slice(-1, None))


def find_form(operation: Any, stream: Stream) -> Callable[..., Any]:
    """Return what stands in for a layer or operation of the graph.

    Raises:
        CannotStream: Nothing can.
    """

    def form(*args: Any, **kwargs: Any) -> Any:
        try:
            return advance(operation, stream, args, kwargs)
        except CannotStream:
            raise
        except Exception as error:
            raise refuse_failure(operation, error) from error

    return form


def advance(operation: Any, stream: Stream, args: Any, kwargs: Any) -> Any:
    """Call what stands in for a layer or operation."""
    tensors = find_tensors(args, kwargs)
    late = [x for x in tensors if stream.is_late(x)]
    initial = find_initial(operation, args, kwargs)
    is_begun = bool(initial) and not stream.is_late(tensors[0])
    if is_begun:
        refuse_states(operation, initial, stream)
    if not late or is_begun or isinstance(operation, RepeatedStatic):
        return apply_form(operation, stream, args, kwargs)
    if len(late) < len(tensors):
        args, kwargs = spread_statics(operation, stream, args, kwargs)
        return apply_form(operation, stream, args, kwargs)
    results = apply_per_timestep(operation, args, kwargs)
    is_static = all(map(stream.is_static, late))
    mark = stream.mark_static if is_static else stream.mark_late
    keras.tree.map_structure(mark, results)
    return results


def apply_form(operation: Any, stream: Stream, args: Any, kwargs: Any) -> Any:
    """Call what stands in for an operation on timesteps."""
    tensors = find_tensors(args, kwargs)
    first = tensors[0] if tensors else None
    if first is not None and (reduction := find_reduction(operation, first, kwargs)):
        return advance_reduction(stream, first, reduction)
    refuse_unstreamable(operation, tensors)
    for kind, form in FORMS.items():
        if isinstance(operation, kind):
            return form(operation, stream, *args, **kwargs)
    results = at_rest(operation)(*args, **kwargs)
    for result in keras.tree.flatten(results) if tensors else ():
        check_timesteps(operation, first, result)
    return results


def check_timesteps(operation: Any, given: Tensor, result: Tensor) -> None:
    """Refuse an operation after which the timesteps are others.

    Raises:
        CannotStream: It joins, drops or adds timesteps.
    """
    # A Lambda may leave a number of timesteps open that was known.
    if len(result.shape) < 2 or result.shape[1] not in (None, given.shape[1]):
        raise CannotStream(
            f"{describe(operation)} makes {tuple(result.shape)} of "
            f"{tuple(given.shape)}; expected one output per timestep. Keep axis 1. "
            f"{WINDOW}"
        )


def advance_distributed(
    layer: keras.layers.TimeDistributed, stream: Stream, hidden: Tensor, **kwargs: Any
) -> Tensor:
    """Apply the layer inside to every timestep, as rows of the batch."""
    del stream
    return distribute(layer, hidden, **kwargs)


def advance_item(operation: Any, stream: Stream, hidden: Tensor, key: Any) -> Tensor:
    """Take a part of the features, or the last timestep.

    Raises:
        CannotStream: It takes other timesteps than the first or the last one.
    """
    keys = [*key] if isinstance(key, (list, tuple)) else [key]
    if Ellipsis in keys:
        missing = len(hidden.shape) - sum(k is not None for k in keys) + 1
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * missing
    keys += [slice(None)] * (2 - len(keys))
    every = slice(None)
    if keys[0] == every and keys[1] == every:
        return hidden[tuple(keys)]
    keepdims = isinstance(keys[1], slice)
    if keys[0] == every and keys[1] in FIRST:
        reduction = Reduction("first", keepdims, None, hidden.dtype)
        kept = advance_reduction(stream, hidden, reduction)
        part = kept[(every, every, *[every] * keepdims, *keys[2:])]
        return stream.mark_static(part)  # the same at every event
    if keys[0] == every and keys[1] in LAST:
        axis = (None,) if keepdims else ()
        part = ops.copy(hidden)[(every, every, *axis, *keys[2:])]
        return stream.mark_late(part)
    raise CannotStream(
        f"{describe(operation)} takes some of the timesteps; a stream has the first "
        "and the last at every event, and the others not yet or no more. Use x[:, 0], "
        f"x[:, -1] or the axis of features. {WINDOW}"
    )


def advance_last(layer: LastStep, stream: Stream, hidden: Tensor) -> Tensor:
    """Take every timestep for the last."""
    return stream.mark_late(keras.layers.Reshape((-1, *layer.shape))(hidden))


def advance_convolution(
    layer: keras.layers.Conv1D, stream: Stream, hidden: Tensor, **_: Any
) -> Tensor:
    """Convolve with the last inputs of the call before, which are its memory."""
    reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    if reach == 0:
        return layer(hidden)
    name = f"buffer_{stream.count('buffer_')}"
    given = stream.remember(name, (reach, hidden.shape[-1]))
    buffer = ops.cast(given, hidden.dtype)
    joined = ops.concatenate([buffer, hidden], axis=1)
    # The `reach` inputs before the first timestep of padding.
    last = stream.length[:, None] + ops.arange(reach, dtype="int32")[None]
    after = ops.take_along_axis(joined, last[..., None], axis=1)
    stream.keep([name], [after])
    return Convolve(layer, dtype=layer.dtype_policy)(joined)


class Convolve(keras.layers.Layer):
    """Applies a causal convolution to inputs that already hold what came before.

    Args:
        convolution: The layer that lends its weights.

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


def advance_intervals(
    layer: AdaptiveIntervals, stream: Stream, value: Tensor, forecast: Tensor
) -> Tensor:
    """Correct quantiles by what the calls before remember of them."""
    index = stream.count("interval_offsets_")
    names = [f"interval_{part}_{index}" for part in ("offsets", "pending", "count")]
    before = [
        stream.remember(name, (size,))
        for name, size in zip(names, layer.state_sizes, strict=True)
    ]
    corrected, *after = layer.build_loop(unroll=stream.is_unrolled)(
        layer.pack(value, forecast),
        initial_state=[ops.cast(state, layer.compute_dtype) for state in before],
        mask=stream.mask,
    )
    stream.keep(names, after)
    return layer.unpack(ops.copy(corrected))  # without the mask of this call


# The kinds of layers with a form of their own; every other stands for itself.
FORMS: dict[type, Callable[..., Any]] = {
    keras.layers.RNN: advance_recurrent,
    keras.layers.Conv1D: advance_convolution,
    keras.layers.TimeDistributed: advance_distributed,
    keras.src.ops.numpy.GetItem: advance_item,
    LastStep: advance_last,
    FilledStatics: advance_filling,
    RepeatedStatic: advance_repeated,
    StaticValue: advance_static,
    AdaptiveIntervals: advance_intervals,
    TimeSincePrevious: advance_clock,
    Windowed: advance_window,
}
