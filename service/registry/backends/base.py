"""Protocol of a runtime: one pure function, and no state.

The seam between the service and whatever runs the network (`opening` chooses it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np

Tensors = Mapping[str, np.ndarray]
Signature = Literal["advance", "explain"]
SIGNATURES: tuple[Signature, ...] = get_args(Signature)


class Plan(NamedTuple):
    """Size of the next call: number of rows, and maximum timesteps of each."""

    num_rows: int
    timesteps: int


class Runtime(Protocol):
    """Runs one version of a network. Safe to call from several threads at once."""

    name: str

    def plan(self, signature: Signature, remaining: Sequence[int]) -> Plan:
        """Choose the next call for the rows that wait.

        Args:
            signature: What to run.
            remaining: Events left of each row, 1 or more, longest wait first.
        """

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch as planned.

        Args:
            signature: `advance`, or `explain` for the gates too.
            tensors: `sequence` of shape (batch, timesteps[, columns]), `length` int32
                of shape (batch,), and the memory tensors, float32 (batch, units).

        Returns:
            Outputs of shape (batch, timesteps, ...) and the memory tensors after
            `length` timesteps, under the names they came in by.
        """


class CompiledProgram(Protocol):
    """One compiled program of a version, of a fixed size."""

    @property
    def name(self) -> str:
        """The name of its file."""

    @property
    def batch(self) -> int:
        """Rows of a call."""

    @property
    def timesteps(self) -> int:
        """Timesteps of each row."""

    def run(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance at most `batch` rows; see `Runtime.run`."""
