"""The SavedModel: a network's three signatures, traced and written.

Knows nothing of manifests, versions or where the folder will live.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.export.parsing import build_tables
from models.export.resources import find_resources
from models.export.serving import build_serving_default
from models.export.verification import verify_export
from models.gates import Tensor
from models.schemas import Schema
from models.streaming import StreamingNetwork, stream_network


def export_network(
    network: keras.Model,
    inputs: Schema,
    outputs: Schema,
    path: Path,
    *,
    real: Any,
    streaming: StreamingNetwork | None = None,
    advance: Any = None,
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
        streaming: The network's streaming form, if it was made before.
        advance: From `trace_signature`, if its `advance` was traced before.

    Returns:
        The memory layout: size of each memory tensor, in layer order.

    Raises:
        ExportError: The folder computes something else than the network.
        FileExistsError: `path` exists.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists; export writes a new folder.")
    streaming = streaming or stream_network(network, outputs)
    advance = advance or trace_signature(streaming.advance)
    module = tf.Module()
    # A SavedModel keeps what hangs on the module it is made from.
    module.network_variables = [variable.value for variable in network.variables]
    module.resources = find_resources(network)
    module.tables = build_tables(inputs)
    tf.saved_model.save(
        module,
        str(path),
        signatures={
            "serving_default": build_serving_default(
                advance, streaming.memory, inputs, outputs, module.tables
            ),
            "advance": advance,
            "explain": trace_signature(streaming.explain),
        },
    )
    verify_export(path, network, streaming, inputs, outputs, real=real)
    return {name: list(shape) for name, shape in streaming.memory.items()}


def trace_signature(model: keras.Model) -> Any:
    """Trace a model from a dict of tensors to a dict of tensors.

    Without autograph, as `model.predict` traces it.
    """
    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
        for name, tensor in model._inputs_struct.items()
    }

    @tf.function(autograph=False)
    def signature(**tensors: Tensor) -> Any:
        return model(tensors, training=False)

    return signature.get_concrete_function(**specs)
