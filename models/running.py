"""Reductions over time as they would be if the sequence ended at each event.

A mean is a running sum and a count, carried as memory; a maximum is a running one. Each
is a cell of `keras.layers.RNN`, which knows what to do with masks and padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from models.chunk_loop import ChunkLoop
from models.gates import Tensor
from models.stream import Stream
from models.timesteps import Flat

# Kinds of reductions, by the name of the layer or operation.
REDUCTIONS = {
    "GlobalAveragePooling1D": "mean",
    "GlobalMaxPooling1D": "max",
    "Mean": "mean",
    "Sum": "sum",
    "Max": "max",
    "Min": "min",
}


# Which of the value so far and an event is kept.
CHOICES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "max": ops.maximum,
    "min": ops.minimum,
    "first": lambda value, _: value,
}


class Reduction(NamedTuple):
    """A reduction over time.

    Args:
        kind: `mean`, `sum`, `max`, `min` or `first`.
        keepdims: Whether the reduced axis stays, of size 1.
        mask: Bool of shape (batch, timesteps), or None.
        dtype: Of the result: a mean of whole numbers is not one.
    """

    kind: str
    keepdims: bool
    mask: Tensor | None
    dtype: str


def find_reduction(operation: Any, hidden: Tensor, kwargs: Any) -> Reduction | None:
    """Return what a layer or operation reduces over time, if it does just that."""
    kind = REDUCTIONS.get(type(operation).__name__)
    if kind is None or not type(operation).__module__.startswith("keras."):
        return None
    keepdims = bool(operation.keepdims)
    if isinstance(operation, keras.layers.Layer):
        is_last = operation.data_format == "channels_last"
        mask = kwargs.get("mask") if operation.supports_masking else None
        dtype = operation.compute_output_spec(hidden).dtype
        return Reduction(kind, keepdims, mask, dtype) if is_last else None
    axis = operation.axis
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    is_time = axes in ([1], [1 - len(hidden.shape)])
    is_plain = getattr(operation, "initial", None) is None
    if not (is_time and is_plain):
        return None
    dtype = operation.compute_output_spec(hidden).dtype
    return Reduction(kind, keepdims, None, dtype)


class RunningCell(keras.layers.Layer):
    """A cell that reduces the events so far.

    Args:
        kind: `mean`, `sum`, `max`, `min` or `first`.
        size: How many numbers an event has.

    Call arguments:
        inputs: float of shape (batch, size).
        states: The sum or extreme so far, (batch, size), and the count, (batch, 1).

    Output shape:
        (batch, size).
    """

    def __init__(self, kind: str, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.state_size = [size, 1]
        self.output_size = size

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Take in one event."""
        del training  # the same at all times
        value, count = states
        if self.kind in ("mean", "sum"):
            value = value + inputs
        else:
            value = ops.where(count > 0, CHOICES[self.kind](value, inputs), inputs)
        count = count + 1
        output = value / count if self.kind == "mean" else value
        return output, [value, count]


def advance_reduction(stream: Stream, hidden: Tensor, reduction: Reduction) -> Tensor:
    """Reduce the events so far, at every timestep, and carry the rest as memory."""
    shape = hidden.shape[2:]
    size = math.prod(shape)
    index = stream.count("running_")
    names = [f"running_{index}", f"count_{index}"]
    before = [stream.remember(n, (s,)) for n, s in zip(names, (size, 1), strict=True)]
    mask = stream.mask
    if reduction.mask is not None:
        mask = ops.logical_and(mask, reduction.mask)
    dtype = hidden.dtype if "float" in hidden.dtype else "float32"
    # A sum of thousands of halves needs more digits than they have.
    dtype = "float32" if dtype in ("float16", "bfloat16") else dtype
    layer = ChunkLoop(
        RunningCell(reduction.kind, size, dtype=dtype),
        return_sequences=True,
        return_state=True,
        unroll=stream.is_unrolled,
        is_prefix=reduction.mask is None,
        dtype=dtype,
    )
    states = [ops.cast(state, dtype) for state in before]
    flat = ops.cast(Flat()(hidden), dtype)
    output, *after = layer(flat, initial_state=states, mask=mask)
    output = ops.copy(output)  # without the mask of this call
    stream.keep(names, after)
    if reduction.mask is not None:
        output = fill_masked(output, mask, states, reduction.kind)
    shape = (1, *shape) if reduction.keepdims else shape
    output = keras.layers.Reshape((-1, *shape))(output)
    return stream.mark_late(ops.cast(output, reduction.dtype))


def fill_masked(
    output: Tensor, mask: Tensor, before: Sequence[Tensor], kind: str
) -> Tensor:
    """Say at a masked beginning of a call what the memory says.

    Keras divides by a count of 0 where all is masked: so it is not a number here too.
    """
    value, count = before
    known = value / count if kind == "mean" else value
    seen = ops.cumsum(ops.cast(mask, "int32"), axis=1)[..., None] > 0
    return ops.where(seen, output, known[:, None])
