"""The reference runtime: the SavedModel's own signatures, run by TensorFlow.

The only file of the service that imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from service.common.loop import offload
from service.registry.backends.base import Plan, Signature, Tensors

# Bounds what one call computes and holds: of an explained LSTM-128, 25 MB.
MAX_TIMESTEPS = 256
MAX_CELLS = 4096


class TensorFlowRuntime:
    """A loaded SavedModel.

    Args:
        path: The version's folder.
    """

    name = "tensorflow"

    def __init__(self, path: Path) -> None:
        self._loaded = tf.saved_model.load(str(path))  # owns the weights

    def input_shapes(self, signature: Signature) -> dict[str, tuple[int | None, ...]]:
        """Return the shapes that a signature takes, None where a size is open."""
        _, tensors = self._loaded.signatures[signature].structured_input_signature
        return {name: tuple(spec.shape) for name, spec in tensors.items()}

    def plan(self, signature: Signature, remaining: Sequence[int]) -> Plan:
        """Take as many rows as fit, as far as the shortest of them goes.

        A call costs about the same whatever it holds, so each ends at least one row;
        and none is padded to the length of another.
        """
        rows = remaining[:MAX_CELLS]
        timesteps = min(MAX_TIMESTEPS, *rows)
        return Plan(min(len(rows), max(1, MAX_CELLS // timesteps)), timesteps)

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch; see `service.registry.backends.base.Runtime`."""
        return offload(self._run, signature, tensors)

    def _run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        constants = {name: tf.constant(value) for name, value in tensors.items()}
        results = self._loaded.signatures[signature](**constants)
        return {name: tensor.numpy() for name, tensor in results.items()}
