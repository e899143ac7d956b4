"""What the engine asks of a runtime: one pure function, and no state.

The seam between the service and whatever runs the network. TensorFlow, the reference,
is imported only when a runtime is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

Tensors = Mapping[str, np.ndarray]
Signature = Literal["advance", "explain"]


class Runtime(Protocol):
    """Runs one version of a network. Safe to call from several threads at once."""

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch.

        Args:
            signature: `advance`, or `explain` for the gates too.
            tensors: `sequence` of shape (batch, timesteps[, columns]), `length` int32
                of shape (batch,), and the memory tensors, float32 (batch, units).

        Returns:
            Outputs of shape (batch, timesteps, ...) and the memory tensors after
            `length` timesteps, under the names they came in by.
        """


def open_runtime(path: Path) -> Runtime:
    """Open the runtime of an exported version."""
    from service.tensorflow_runtime import TensorFlowRuntime

    return TensorFlowRuntime(path)
