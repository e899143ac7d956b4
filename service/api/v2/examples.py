"""Bodies of an infer call that work as they stand, for any model."""

from __future__ import annotations

from typing import Any

from service.api.openapi.examples import example_events
from service.api.openapi.operation import Example
from service.api.v2.tensor_schema import list_inputs
from service.registry.catalog import Model


def infer_examples(model: Model) -> dict[str, Example]:
    """Show an infer call with and without a sequence."""
    inputs = example_inputs(model, 2)
    begins = {"sequence_id": 42, "sequence_start": True}
    return {
        "infer": Example("No memory", {"id": "1", "inputs": inputs}),
        "sequence": Example(
            "A sequence begins", {"inputs": inputs, "parameters": begins}
        ),
    }


def example_inputs(model: Model, num_events: int) -> list[dict[str, Any]]:
    """Write events of one row as tensors, one for each input."""
    events = example_events(model.manifest, num_events)
    is_record = model.manifest.input["kind"] == "record"
    return [
        {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": [1, num_events, *tensor.shape[2:]],
            "data": [event[tensor.name] if is_record else event for event in events],
        }
        for tensor in list_inputs(model.manifest)
    ]
