"""A run: one sequence on its way through a network, and what came out so far."""

from __future__ import annotations

import numpy as np

from service.rows import Advanced

# By name, outputs of shape (batch, timesteps, ...).
Outputs = dict[str, np.ndarray]


class Run:
    """A sequence being advanced.

    Args:
        sequence: Encoded events, of shape (timesteps,) or (timesteps, columns).
        memory: The memory before them, as stored; None for none.

    Attributes:
        memory: The memory it has come to.
        position: How many events are absorbed.
        remaining: How many are left.
    """

    __slots__ = ("_parts", "memory", "position", "remaining", "sequence")

    def __init__(self, sequence: np.ndarray, memory: bytes | None) -> None:
        self.sequence = sequence
        self.memory = memory
        self.position = 0
        self.remaining = len(sequence)
        self._parts: list[tuple[Outputs, int, int]] = []

    def take(self, outputs: Outputs, index: int, length: int, memory: bytes) -> None:
        """Go on by `length` events: row `index` of a batch's outputs is this run's."""
        self.position += length
        self.remaining -= length
        if self.remaining:
            # Its own, not a view: the rest of the batch need not live as long as it.
            outputs = {n: v[index : index + 1].copy() for n, v in outputs.items()}
            index = 0
        self._parts.append((outputs, index, length))
        self.memory = memory

    def ahead(self) -> Advanced:
        """Return what it came to: outputs of all its timesteps, and the memory."""
        outputs, index, length = self._parts[0]
        if len(self._parts) == 1:
            joined = {name: value[index, :length] for name, value in outputs.items()}
        else:
            joined = {
                name: np.concatenate([o[name][k, :n] for o, k, n in self._parts])
                for name in outputs
            }
        return Advanced(joined, self.memory or b"")
