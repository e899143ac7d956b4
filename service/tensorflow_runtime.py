"""The reference runtime: the SavedModel's own signatures, run by TensorFlow.

The only file of the service that imports TensorFlow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from service.runtime import Signature, Tensors


class TensorFlowRuntime:
    """A loaded SavedModel.

    Args:
        path: The version's folder.
    """

    def __init__(self, path: Path) -> None:
        self._loaded = tf.saved_model.load(str(path))  # owns the weights

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch; see `service.runtime.Runtime`."""
        constants = {name: tf.constant(value) for name, value in tensors.items()}
        results = self._loaded.signatures[signature](**constants)
        return {name: tensor.numpy() for name, tensor in results.items()}
