"""Messages after the export of a Keras file, with a first call to try.

Does not know how anything was done.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import keras

from models.schemas import Schema, count_columns, output_names
from models.streaming import StreamingNetwork
from models.wrapping import Wrapped
from training.proof import Proof
from training.report import print_serving, say

MAX_LIST_LENGTH = 12  # layers; a deep network has hundreds
ADDRESS = "http://127.0.0.1:8080"


def print_export(
    model: keras.Model,
    wrapped: Wrapped,
    streaming: StreamingNetwork,
    proof: Proof,
    version: Path,
) -> None:
    """Print what was exported, how near it is, where it is and how to call it."""
    memory = [f"{n} {list(shape)}" for n, shape in streaming.memory.items()]
    say(f"layers   {', '.join(name_layers(model))}")
    say(f"memory   {', '.join(memory) or 'none: every event is answered alone'}")
    say(
        f"proof    {proof.rows} random sequences of {proof.events} events, step by "
        f"step: largest difference from {proof.reference} {proof.difference:.1e}"
    )
    say_window(wrapped)
    if "others" in wrapped.outputs:
        say(f"outputs  {', '.join(output_names(wrapped.outputs))}")
    say(f"version  {version}")
    print_serving(version)
    event = write_event(wrapped.inputs, proof.sequence[0, 0])
    row = {"sequence": [event], "session": "first"}
    body = shlex.quote(json.dumps({"instances": [row]}, ensure_ascii=False))
    say(f"try      curl -s {ADDRESS}/v1/models/{version.parent.name}:predict -d {body}")


def say_window(wrapped: Wrapped) -> None:
    """Print which events an answer is from, where the model was made for a window."""
    size = wrapped.window or wrapped.timesteps
    if wrapped.window:
        say(
            f"window   each answer is model.predict of the last {size} events, padded "
            f"in front with {wrapped.padding:g}"
        )
    elif size and size > 1:
        say(
            f"window   the model was made for {size} events and a session carries all; "
            "for model.predict of a window padded in front, send the padding as events "
            f"first, or export with --window {size}"
        )


def name_layers(network: keras.Model) -> list[str]:
    """Name the layers with their kinds, the first few of many."""
    named = [
        f"{layer.name} ({type(layer).__name__})"
        for layer in network.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    more = [f"and {len(named) - MAX_LIST_LENGTH} more"] * (len(named) > MAX_LIST_LENGTH)
    return named[:MAX_LIST_LENGTH] + more


def write_event(inputs: Schema, encoded: Any) -> Any:
    """Write an encoded event as a client would."""
    if inputs["kind"] == "event":
        return inputs["vocabulary"][int(encoded)]
    if inputs["kind"] == "index":
        return int(encoded)
    if inputs["kind"] == "vector":
        return write_numbers(encoded)
    event, start = {}, 0
    for field in inputs["fields"]:
        stop = start + count_columns(field)
        columns = encoded[start:stop]
        is_index = field["type"] == "index"
        event[field["name"]] = int(columns[0]) if is_index else write_numbers(columns)
        start = stop
    return event


def write_numbers(numbers: Any) -> list[float]:
    """Write numbers with the few digits an example needs."""
    return [round(float(number), 2) for number in numbers]
