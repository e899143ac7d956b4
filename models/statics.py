"""Inputs without timesteps: given once in a session, and carried as memory.

An event that leaves such a field out has NaN in its columns. `FilledStatics` puts the
newest value there; what is computed from such values alone is the same at all events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models.chunk_loop import ChunkLoop
from models.features import MAX_FLOAT32
from models.gates import Tensor
from models.refusals import refuse_join
from models.stream import Stream
from models.timesteps import Unmasked, find_tensors, is_tensor

# Operations that repeat a value along an axis of timesteps.
REPEATS = ("RepeatVector", "Repeat", "Tile", "BroadcastTo")


class NewestCell(keras.layers.Layer):
    """A cell that outputs the newest number of each column that is one.

    Args:
        size: How many columns there are.

    Call arguments:
        inputs: float of shape (batch, size), NaN where nothing is new.
        states: The numbers so far, (batch, size).
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size = self.output_size = size

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Take in one event."""
        del training  # the same at all times
        newest = ops.where(ops.abs(inputs) <= MAX_FLOAT32, inputs, states[0])
        return newest, [newest]


class FilledStatics(Unmasked):
    """Fills the static columns of events that leave them out.

    Args:
        columns: Which columns of a sequence are static.

    Call arguments:
        inputs: float of shape (batch, timesteps, columns), NaN where left out.
    """

    def __init__(self, columns: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns = list(columns)

    def call(self, inputs: Tensor) -> Tensor:
        """Fill from zeros."""
        filled, _ = self.fill(inputs, [ops.zeros_like(self.take(inputs)[:, 0])])
        return filled

    def take(self, sequence: Tensor) -> Tensor:
        """Return the static columns."""
        return ops.stack([sequence[..., k] for k in self.columns], axis=-1)

    def fill(
        self, sequence: Tensor, before: Sequence[Tensor], **options: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the sequence with its columns filled, and their newest values."""
        given = self.take(sequence)
        layer = ChunkLoop(
            NewestCell(len(self.columns), dtype=given.dtype),
            return_sequences=True,
            return_state=True,
            dtype=given.dtype,
            unroll=options.get("unroll", False),
        )
        newest, after = layer(
            given, initial_state=list(before), mask=options.get("mask")
        )
        parts = [
            newest[..., self.columns.index(k)]
            if k in self.columns
            else sequence[..., k]
            for k in range(sequence.shape[-1])
        ]
        return ops.stack(parts, axis=-1), after

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "columns": self.columns}


def fill_statics(sequence: Tensor, ports: Sequence[Any]) -> Tensor:
    """Fill the columns of inputs without timesteps, where a model has any."""
    columns: list[int] = []
    start = 0
    for port in ports:
        stop = start + port.columns
        columns += range(start, stop) if port.is_static else ()
        start = stop
    return FilledStatics(columns)(sequence) if columns else sequence


class StaticValue(Unmasked):
    """Layer that takes a static input as the last event has it: (batch, columns)."""

    def call(self, inputs: Tensor) -> Tensor:
        """Take the last timestep."""
        return inputs[:, -1]


class RepeatedStatic(Unmasked):
    """Repeats a static value as often as a sequence has timesteps.

    Stands for `RepeatVector` of the number of timesteps that a model was made for.

    Call arguments:
        inputs: float of shape (batch, features).
        sequence: Of shape (batch, timesteps, ...); only its shape is used.
    """

    def call(self, inputs: Tensor, sequence: Tensor) -> Tensor:
        """Repeat, as often as is known when it runs."""
        rows = ops.zeros_like(sequence[..., :1], dtype=inputs.dtype)
        return inputs[:, None] + rows


class Statics:
    """Tensors of a graph that come from static inputs alone, while it is run again.

    Args:
        sequence: What the graph is run on, with all its timesteps.
        values: The static inputs.
        timesteps: How many the model was made for, or None for any.
    """

    def __init__(
        self, sequence: Tensor, values: Sequence[Tensor], timesteps: int | None
    ) -> None:
        self.sequence = sequence
        self.timesteps = timesteps
        self._found = {id(value): value for value in values}

    def run(self, operation: Any, call: Any, args: Any, kwargs: Any) -> Any:
        """Call an operation, or what repeats a static value at every timestep."""
        results = call(*args, **kwargs)
        tensors = find_tensors(args, kwargs)
        if not tensors or not all(id(x) in self._found for x in tensors):
            return results
        if self.timesteps and type(operation).__name__ in REPEATS:
            (given,) = tensors
            if results.ndim == 3 and results.shape[1] == self.timesteps:
                given = given if given.ndim == 2 else given[:, 0]
                return RepeatedStatic()(given, self.sequence)
        self._found |= {id(x): x for x in keras.tree.flatten(results)}
        return results


def advance_repeated(
    layer: RepeatedStatic, stream: Stream, value: Tensor, sequence: Tensor
) -> Tensor:
    """Take the value at each event."""
    del layer, stream, sequence
    return ops.copy(value)


def advance_filling(layer: FilledStatics, stream: Stream, sequence: Tensor) -> Tensor:
    """Fill from the values that the memory has."""
    before = stream.remember("static_0", (len(layer.columns),))
    given = ops.cast(before, sequence.dtype)
    filled, after = layer.fill(
        sequence, [given], mask=stream.mask, unroll=stream.is_unrolled
    )
    stream.keep(["static_0"], [after])
    stream.filled = ops.copy(filled)  # without the mask of this call
    return stream.filled


def advance_static(layer: StaticValue, stream: Stream, part: Tensor) -> Tensor:
    """Take the value at each event: what it would be if the sequence ended there."""
    del layer
    return stream.mark_static(ops.copy(part))


def spread_statics(operation: Any, stream: Stream, args: Any, kwargs: Any) -> Any:
    """Give static values among a call's tensors the timesteps of the others.

    Raises:
        CannotStream: A value of the whole sequence is among them.
    """
    is_merge = isinstance(operation, keras.src.layers.merging.base_merge.Merge)

    def spread(value: Any) -> Any:
        if not is_tensor(value) or not stream.is_late(value):
            return value
        if stream.is_static(value) and value.shape[2:3] == (1,) and value.ndim > 3:
            return value[:, :, 0]
        # Layers that merge put an axis of timesteps into what has one axis less.
        if stream.is_static(value) and is_merge and value.ndim == 3:
            return ops.copy(value)
        raise refuse_join(operation)

    return keras.tree.map_structure(spread, (args, kwargs))


def find_initial(operation: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """List the states that a recurrent layer is given to begin with."""
    if not isinstance(operation, (keras.layers.RNN, keras.layers.Bidirectional)):
        return []
    given = args[1] if len(args) > 1 else kwargs.get("initial_state")
    return [] if given is None else keras.tree.flatten(given)
