"""The SavedModel: a network's three signatures, traced and written.

Knows nothing of manifests, versions or where the folder will live.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.export.parsing import build_tables
from models.export.serving import build_serving_default
from models.export.verification import verify_export
from models.gates import Tensor
from models.schemas import Schema
from models.streaming import stream_network


def export_network(
    network: keras.Model, inputs: Schema, outputs: Schema, path: Path, *, real: Any
) -> dict[str, list[int]]:
    """Write a network as a SavedModel and prove that it computes the same.

    Args:
        network: From `models.networks.build_network`, trained, or
            `models.wrapping.wrap_model`.
        inputs: Its input schema.
        outputs: Its output schema.
        path: The folder to write; must not exist.
        real: A few real encoded sequences, of shape (batch, timesteps) or
            (batch, timesteps, columns), compared beside random ones.

    Returns:
        The memory layout: size of each memory tensor, in layer order.

    Raises:
        ExportError: The folder computes something else than the network.
        FileExistsError: `path` exists.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists; export writes a new folder.")
    streaming = stream_network(network, outputs)
    module = tf.Module()
    # A SavedModel keeps what hangs on the module it is made from.
    module.network_variables = [variable.value for variable in network.variables]
    module.tables = build_tables(inputs)
    tf.saved_model.save(
        module,
        str(path),
        signatures={
            "serving_default": build_serving_default(
                streaming, inputs, outputs, module.tables
            ),
            "advance": build_signature(streaming.advance),
            "explain": build_signature(streaming.explain),
        },
    )
    verify_export(path, network, streaming, inputs, outputs, real=real)
    return {name: list(shape) for name, shape in streaming.memory.items()}


def build_signature(model: keras.Model) -> Any:
    """Trace a model from a dict of tensors to a dict of tensors."""
    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
        for name, tensor in model._inputs_struct.items()
    }

    @tf.function
    def signature(**tensors: Tensor) -> Any:
        return model(tensors, training=False)

    return signature.get_concrete_function(**specs)
