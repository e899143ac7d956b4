"""The v2 dialect's descriptions: of the server, of a model, of its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.api.v2.tensor_schema import BYTES, Tensor, list_inputs, list_outputs
from service.registry.catalog import Model

NAME = "carryover"
PLATFORM = "tensorflow_savedmodel"
# Those of Triton's extensions that are spoken here.
EXTENSIONS = (
    "classification",
    "sequence",
    "sequence(string_id)",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)


def describe_server(version: str) -> dict[str, Any]:
    """Describe the server."""
    return {"name": NAME, "version": version, "extensions": list(EXTENSIONS)}


def describe_model(model: Model, versions: Sequence[int]) -> dict[str, Any]:
    """Describe a model's tensors."""
    return {
        "name": model.manifest.name,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": [describe_tensor(t) for t in list_inputs(model.manifest)],
        "outputs": [describe_tensor(t) for t in list_outputs(model.manifest)],
    }


def describe_tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe a tensor."""
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
    }


def describe_config(
    model: Model, *, max_rows: int, idle_seconds: float
) -> dict[str, Any]:
    """Describe a model as Triton's model configuration would.

    Args:
        model: The model.
        max_rows: Most rows of a request.
        idle_seconds: How long a sequence lives without a request.
    """
    return {
        "name": model.manifest.name,
        "platform": PLATFORM,
        "backend": NAME,
        "version_policy": {"specific": {"versions": [model.manifest.version]}},
        "max_batch_size": max_rows,
        "input": [describe_config_tensor(t) for t in list_inputs(model.manifest)],
        "output": [describe_config_tensor(t) for t in list_outputs(model.manifest)],
        "sequence_batching": {
            "direct": {},
            "max_sequence_idle_microseconds": round(idle_seconds * 1e6),
            "control_input": [],
            "state": [],
        },
    }


def describe_config_tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe a tensor, the batch left out because `max_batch_size` gives it."""
    datatype = "STRING" if tensor.datatype == BYTES else tensor.datatype
    return {
        "name": tensor.name,
        "data_type": f"TYPE_{datatype}",
        "dims": list(tensor.shape[1:]),
    }
