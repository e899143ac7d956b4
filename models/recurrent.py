"""Recurrent layers of a stream: their memories come in and go out with the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models.chunk_loop import ChunkLoop
from models.gates import Tensor
from models.refusals import CannotStream, describe
from models.stream import Stream
from models.tracing import TracingCell

# State order (h, c), as Keras has it.
STATE_NAMES = ("short_term", "long_term")


def advance_recurrent(
    layer: keras.layers.RNN,
    stream: Stream,
    hidden: Tensor,
    initial_state: Any = None,
    mask: Tensor | None = None,
    **_: Any,
) -> Any:
    """Call a recurrent layer's cells with their memories handed in and out.

    Stacked cells are advanced one after another over all timesteps, which is the same.
    The mask is the one Keras would use, and is handed on as Keras does.
    """
    is_stack = isinstance(layer.cell, keras.layers.StackedRNNCells)
    own = keras.src.backend.get_keras_mask(hidden) if mask is None else mask
    output, states = hidden, []
    initial = keras.tree.flatten(initial_state) if initial_state is not None else []
    for cell in layer.cell.cells if is_stack else [layer.cell]:
        output, after = advance_cell(cell, layer, stream, output, own, initial)
        initial = initial[len(state_sizes(cell)) :]
        states += after
    if not layer.return_sequences:
        stream.mark_late(output)
    elif own is not None:
        keras.src.backend.set_keras_mask(output, own)
    if not layer.return_state:
        return output
    return [output, *map(stream.mark_late, states)]


def advance_cell(
    cell: Any,
    layer: keras.layers.RNN,
    stream: Stream,
    hidden: Tensor,
    own: Any,
    initial: Sequence[Tensor] = (),
) -> tuple[Tensor, list[Tensor]]:
    """Run one cell over the timesteps: its outputs, and its states where asked.

    Raises:
        CannotStream: The cell has three states or more, or one of several axes.
    """
    index = stream.count("short_term_")
    sizes = state_sizes(cell)
    if len(sizes) > len(STATE_NAMES) or not all(isinstance(s, int) for s in sizes):
        raise CannotStream(
            f"{describe(layer)} has a cell with states of sizes {sizes}; a stream "
            "carries a short-term and a long-term one, each with one axis. Join them."
        )
    names = [f"{name}_{index}" for name in STATE_NAMES[: len(sizes)]]
    given = [
        stream.remember(name, (size,)) for name, size in zip(names, sizes, strict=True)
    ]
    given = stream.begin(given, initial[: len(sizes)]) if initial else given
    before = [ops.cast(state, cell.compute_dtype) for state in given]
    mask = stream.mask if own is None else ops.logical_and(stream.mask, own)
    packing = layer.return_state
    remembering = ChunkLoop(
        PackedCell(cell, dtype=cell.dtype_policy) if packing else cell,
        return_sequences=True,
        return_state=True,
        unroll=stream.is_unrolled,
        is_prefix=own is None,
        zero_output_for_mask=layer.zero_output_for_mask and not packing,
        dtype=cell.dtype_policy,
    )
    output, *after = remembering(hidden, initial_state=before, mask=mask)
    # The copy has no mask: this call's, with its padding, is not what Keras hands on.
    output = ops.copy(output)
    stream.keep(names, after)
    if stream.is_explained:
        add_trace(
            TracingCell(cell, dtype=cell.dtype_policy), stream, hidden, before, mask
        )
    # Keras repeats the last output where the mask is false, but before the first event
    # of a call it knows none: there the output is what the memory says.
    if own is not None and not remembering.zero_output_for_mask:
        seen = ops.cumsum(ops.cast(mask, "int32"), axis=1)[..., None] > 0
        known = ops.concatenate([before[0], *before], axis=-1) if packing else before[0]
        output = ops.where(seen, output, known[:, None])
    return split_packed(output, layer, mask, sizes) if packing else (output, [])


def split_packed(
    packed: Tensor, layer: keras.layers.RNN, mask: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, list[Tensor]]:
    """Take outputs and states of every timestep apart."""
    rest = sum(sizes)
    output, states, start = packed[..., :-rest], [], packed.shape[-1] - rest
    if layer.zero_output_for_mask:
        output = output * ops.cast(mask[..., None], output.dtype)
    for size in sizes:
        states.append(packed[..., start : start + size])
        start += size
    return output, states


def state_sizes(cell: Any) -> list[Any]:
    """List the sizes of a cell's states."""
    size = cell.state_size
    return [size] if isinstance(size, int) else list(size)


class PackedCell(keras.layers.Layer):
    """A cell that outputs its states after its output, for `return_state=True`.

    Args:
        cell: A built Keras cell; its weights are borrowed.
    """

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self.state_size = state_sizes(cell)
        output = getattr(cell, "output_size", None) or self.state_size[0]
        self.output_size = output + sum(self.state_size)

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance one timestep."""
        del training  # a stream is never trained
        output, after = self.cell(inputs, list(states))
        after = after if isinstance(after, (list, tuple)) else [after]
        return ops.concatenate([output, *after], axis=-1), list(after)


def add_trace(
    cell: TracingCell,
    stream: Stream,
    hidden: Tensor,
    before: Sequence[Tensor],
    mask: Tensor,
) -> None:
    """Run the explained cell on the same events and memory."""
    index = stream.count("short_term_") - 1
    tracing = ChunkLoop(
        cell,
        return_sequences=True,
        unroll=stream.is_unrolled,
        is_prefix=False,
        dtype=cell.dtype_policy,
    )
    packed = tracing(hidden, initial_state=list(before), mask=mask)
    parts = ops.split(ops.cast(packed, stream.dtype), len(cell.names), axis=-1)
    stream.traces.update(
        (f"{name}_{index}", part) for name, part in zip(cell.names, parts, strict=True)
    )
