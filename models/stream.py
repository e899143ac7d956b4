"""Stream: the state that layers share while a graph is run again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models.gates import Tensor
from models.timesteps import Unmasked

# Memory that is 0 before the first event and 1 after it.
BEGUN = "begun_0"


class Stream:
    """State that the layers of a network share while its graph is run again.

    Args:
        mask: Bool of shape (batch, timesteps), false in padding.
        length: int32 of shape (batch,).
        is_unrolled: Whether recurrent layers are laid out without a loop.
        is_explained: Whether recurrent layers show what their gates did.
        dtype: Of the memory.
        is_forgetful: Whether every call begins with an empty memory.

    Attributes:
        before: Memory as it comes in, by name, in layer order.
        after: Memory as it goes out, by the same names.
        traces: Gates and memories per timestep.
        filled: The sequence with its static columns filled, where it has any.
    """

    def __init__(
        self,
        *,
        mask: Tensor,
        length: Tensor,
        is_unrolled: bool,
        is_explained: bool,
        dtype: str = "float32",
        is_forgetful: bool = False,
    ) -> None:
        self.mask = mask
        self.length = length
        self.is_unrolled = is_unrolled
        self.is_explained = is_explained
        self.dtype = dtype
        self.is_forgetful = is_forgetful
        self.before: dict[str, Tensor] = {}
        self.after: dict[str, Tensor] = {}
        self.traces: dict[str, Tensor] = {}
        # Tensors that had no timesteps in the network and have them in the stream,
        # because they follow a layer that gave only its last output.
        self.per_sequence: dict[int, Tensor] = {}
        # Those of them that are the same at every event.
        self.static: dict[int, Tensor] = {}
        self.filled: Tensor | None = None

    def remember(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Make a memory tensor and return it as it comes in."""
        if self.is_forgetful:
            self.before[name] = self.forget(shape)
        else:
            self.before[name] = keras.Input(shape, dtype=self.dtype, name=name)
        return self.before[name]

    def forget(self, shape: tuple[int, ...]) -> Tensor:
        """Make an empty memory for every row."""
        empty = ops.zeros((1, math.prod(shape)), dtype=self.dtype)
        rows = ops.cast(self.length, self.dtype)[:, None] * empty
        return ops.reshape(rows, (-1, *shape))

    def keep(self, names: Sequence[str], tensors: Sequence[Tensor]) -> None:
        """Hand memory tensors out, in the type they came in."""
        for name, tensor in zip(names, tensors, strict=True):
            self.after[name] = ops.cast(tensor, self.dtype)

    def mark_late(self, tensor: Tensor) -> Tensor:
        """Mark a tensor that has no timesteps in the network and has them here."""
        self.per_sequence[id(tensor)] = tensor
        return tensor

    def is_late(self, tensor: Tensor) -> bool:
        """Return whether a tensor has no timesteps in the network."""
        return id(tensor) in self.per_sequence

    def mark_static(self, tensor: Tensor) -> Tensor:
        """Mark a late tensor that is the same at every event of a sequence."""
        self.static[id(tensor)] = tensor
        return self.mark_late(tensor)

    def is_static(self, tensor: Tensor) -> bool:
        """Return whether a tensor is the same at every event of a sequence."""
        return id(tensor) in self.static

    def begin(self, tensors: Sequence[Tensor], states: Sequence[Tensor]) -> list[Any]:
        """Return memory that begins at values of static inputs, not at zeros.

        Args:
            tensors: Memory as it comes in.
            states: The values, of shape (batch, timesteps, ...).
        """
        if BEGUN not in self.before:
            begun = self.remember(BEGUN, (1,))
            self.keep([BEGUN], [ops.ones_like(begun)])
        return [
            ops.where(self.before[BEGUN] > 0, tensor, ops.cast(state[:, 0], self.dtype))
            for tensor, state in zip(tensors, states, strict=True)
        ]

    def count(self, prefix: str) -> int:
        """Count the memory tensors with a name that begins so."""
        return sum(name.startswith(prefix) for name in self.before)


def position(sequence: Tensor) -> Tensor:
    """Enumerate the timesteps from 1: int32 of shape (batch, timesteps).

    A running count, because a symbolic sequence does not know its length.
    """
    column = sequence
    while len(column.shape) > 2:
        column = column[..., 0]
    return ops.cumsum(ops.ones_like(column, dtype="int32"), axis=1)


class Regroup(Unmasked):
    """Gives timesteps that were rows of their own back to their rows.

    Call arguments:
        inputs: Of shape (batch * timesteps, 1, ...).
        sequence: Of shape (batch, timesteps[, ...]); only its shape is used.

    Output shape:
        (batch, timesteps, ...).
    """

    def call(self, inputs: Tensor, sequence: Tensor) -> Tensor:
        """Reshape, by sizes that are known when it runs."""
        batch, timesteps = ops.shape(sequence)[:2]
        return ops.reshape(inputs, (batch, timesteps, *inputs.shape[2:]))

    def compute_output_shape(
        self, inputs_shape: tuple[Any, ...], sequence_shape: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Return (batch, timesteps, ...)."""
        return (*sequence_shape[:2], *inputs_shape[2:])
