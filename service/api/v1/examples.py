"""Bodies that work as they stand, for any model, of the calls that advance rows."""

from __future__ import annotations

from service.api.openapi.examples import example_events
from service.api.openapi.operation import Example
from service.registry.catalog import Model


def predict_examples(model: Model) -> dict[str, Example]:
    """Show every way to predict with a model."""
    events = example_events(model.manifest, 2)
    first, second = [events[:1], events]
    examples = {
        "bare": Example("No memory: bare values", {"instances": [first, second]}),
        "session": Example(
            "The service remembers",
            {"instances": [{"sequence": first, "session": "ticket-42"}]},
        ),
        "memory": Example(
            "The client remembers: send the answer's memory with the next event",
            {"instances": [{"sequence": first, "memory": None}]},
        ),
        "exactly_once": Example(
            "The first event of a session, applied once however often it is sent",
            {"instances": [{"sequence": first, "session": "ticket-43", "at": 0}]},
        ),
        "columns": Example(
            "TensorFlow Serving's columns", {"inputs": {"sequence": [first, second]}}
        ),
        "openvino": Example(
            "OpenVINO Model Server's sequences: 1 starts",
            {"inputs": {"sequence": [first], "sequence_control_input": [1]}},
        ),
    }
    if model.manifest.labels is not None:
        row = {"sequence": second}
        examples["labels"] = Example(
            "The most probable labels after every event",
            {"instances": [row], "return": "all", "top": 2, "threshold": 0.5},
        )
    return examples


def forecast_examples(model: Model) -> dict[str, Example]:
    """Show how to forecast, with a model that can be."""
    manifest = model.manifest
    if manifest.task != "next_event" or manifest.input["kind"] == "record":
        return {}
    row = example_events(model.manifest, 2)
    return {
        "path": Example("The most probable path", {"instances": [row], "horizon": 3}),
        "samples": Example(
            "Three paths, the same each time",
            {"instances": [row], "horizon": 3, "samples": 3, "seed": 7},
        ),
    }
