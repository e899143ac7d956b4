"""What the engine asks of a runtime: one pure function, and no state.

The seam between the service and whatever runs the network. TensorFlow, the reference,
is imported only when a runtime is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

Tensors = Mapping[str, np.ndarray]
Signature = Literal["advance", "explain"]
SIGNATURES: tuple[Signature, ...] = get_args(Signature)


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
    with mute_native_log():
        from service.tensorflow_runtime import TensorFlowRuntime

    return TensorFlowRuntime(path)


@contextmanager
def mute_native_log() -> Iterator[None]:
    """Keep TensorFlow's start-up notes out of the log.

    The level mutes most; a few lines are written before TensorFlow reads it, straight
    to the file descriptor, so that is turned away for the import. Errors in Python are
    raised as ever.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
