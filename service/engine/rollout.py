"""A run: one sequence on its way through a network, and what came out so far."""

from __future__ import annotations

import numpy as np

from service.engine.rows import WHOLE, Advanced

# By name, outputs of shape (batch, timesteps, ...).
Outputs = dict[str, np.ndarray]


class Run:
    """A sequence being advanced.

    Args:
        sequence: Encoded events, of shape (timesteps,) or (timesteps, columns).
        memory: The memory before them, as stored; None for none.
        is_last_only: Whether to keep outputs of the last timestep only, and of every
            timestep only the one that is always shown whole. A long row costs less
            memory than its body then.

    Attributes:
        memory: The memory it has come to.
        position: How many events are absorbed.
        remaining: How many are left.
    """

    __slots__ = (
        "_is_last_only",
        "_outputs",
        "memory",
        "position",
        "remaining",
        "sequence",
    )

    def __init__(
        self, sequence: np.ndarray, memory: bytes | None, is_last_only: bool = False
    ) -> None:
        self.sequence = sequence
        self.memory = memory
        self.position = 0
        self.remaining = len(sequence)
        self._is_last_only = is_last_only
        self._outputs: Outputs = {}

    def take(self, outputs: Outputs, index: int, length: int, memory: bytes) -> None:
        """Go on by `length` events: row `index` of a batch's outputs is this run's."""
        begin = self.position
        self.position += length
        self.remaining -= length
        self.memory = memory
        if not begin and not self.remaining and length == 1:
            for name, value in outputs.items():
                self._outputs[name] = value[index, :1]
            return
        for name, value in outputs.items():
            if self._is_last_only and name != WHOLE:
                if not self.remaining:
                    self._outputs[name] = value[index, length - 1 : length].copy()
                continue
            if not begin:
                shape = (len(self.sequence), *value.shape[2:])
                self._outputs[name] = np.empty(shape, value.dtype)
            self._outputs[name][begin : self.position] = value[index, :length]

    def ahead(self) -> Advanced:
        """Return what it came to: the outputs it kept, and the memory."""
        return Advanced(self._outputs, self.memory or b"")
