"""The graph of a Functional model of Keras 2, in the form Keras 3 writes.

Keras 2 lists per call of a layer what it was called with: `["lstm", 0, 0, {...}]` is
the first output of the first call of `lstm`, with further arguments. Knows no layer's
own arguments: `training.legacy_keras` translates those.
"""

from __future__ import annotations

from typing import Any

from training.errors import ModelError
from training.tf_operations import OPERATION_LAYERS, translate_operation

Config = dict[str, Any]

# Layers that Keras 2 called with a list of their sequence and its initial states.
RECURRENT: tuple[str, ...] = (
    "LSTM",
    "GRU",
    "SimpleRNN",
    "RNN",
    "Bidirectional",
    "ConvLSTM2D",
)
RECURRENT += ("CuDNNLSTM", "CuDNNGRU")
# Takes the place of a layer's name where the first argument is a plain value.
CONSTANT = "_CONSTANT_VALUE"
MODELS = ("Model", "Functional", "Sequential")


def translate_graph(layers: list[Config], translated: list[Config]) -> list[Config]:
    """Give translated layers the calls that old ones had.

    Args:
        layers: As the file has them.
        translated: The same, without their calls.

    Returns:
        The layers with `inbound_nodes`, operations of TensorFlow as those of Keras.

    Raises:
        ModelError: A call has no counterpart in Keras 3.
    """
    first = find_first_calls(layers)
    results = []
    for old, new in zip(layers, translated, strict=True):
        nodes = old.get("inbound_nodes", ())
        if any(isinstance(call, dict) for call in nodes):
            results.append(new)  # in the form of Keras 3 already
            continue
        calls = [translate_call(call, first) for call in nodes]
        if old["class_name"] in OPERATION_LAYERS:
            results.append(translate_operation(old, calls))
        else:
            nodes = [name_states(old, call) for call in calls]
            results.append({**new, "inbound_nodes": nodes})
    return results


def find_first_calls(layers: list[Config]) -> dict[str, int]:
    """Find the number of the first call of each nested model: 1 where its own is 0."""
    models = {part["name"] for part in layers if part["class_name"] in MODELS}
    lowest: dict[str, int] = {}

    def visit(part: Any) -> None:
        if is_reference(part):
            if part[0] in models:
                lowest[part[0]] = min(part[1], lowest.get(part[0], part[1]))
            part = part[3:]
        for one in part.values() if isinstance(part, dict) else part:
            if isinstance(one, (list, dict)):
                visit(one)

    for layer in layers:
        visit(layer.get("inbound_nodes", []))
    return lowest


def is_reference(part: Any) -> bool:
    """Return whether a value is the reference to a tensor, not a list of arguments."""
    return (
        isinstance(part, list)
        and len(part) in (3, 4)
        and isinstance(part[0], str)
        and isinstance(part[1], int)
        and (isinstance(part[2], int) or part[0] == CONSTANT)
    )


def translate_call(call: Any, first: dict[str, int]) -> Config:
    """Write one call of a layer: its first argument, and others by name."""
    named: Config = {}

    def translate(part: Any) -> Any:
        if is_reference(part):
            if len(part) > 3:
                named.update({k: translate(v) for k, v in part[3].items()})
            if part[0] == CONSTANT:
                return translate(part[2])
            return refer(part[0], part[1] - first.get(part[0], 0), part[2])
        if isinstance(part, dict):
            return {key: translate(value) for key, value in part.items()}
        return [translate(one) for one in part] if isinstance(part, list) else part

    given = translate(call)
    if not is_reference(call) and isinstance(given, list) and len(given) == 1:
        given = given[0]
    return {"args": [given], "kwargs": named}


def refer(name: str, call: int, output: int) -> Config:
    """Refer to a tensor as Keras 3 does; it looks only at the history."""
    history = [name, call, output]
    config = {"shape": [], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def name_states(layer: Config, call: Config) -> Config:
    """Give the initial states of a recurrent layer by name, as Keras 3 takes them.

    Raises:
        ModelError: It has constants too.
    """
    (given,) = call["args"]
    if layer["class_name"] not in RECURRENT or not isinstance(given, list):
        return call
    if layer["config"].get("num_constants"):
        raise ModelError(
            f"layer {layer['name']!r} ({layer['class_name']}) is called with constants "
            "for its cell; expected a sequence and states. Concatenate them to the "
            "sequence and save the model again."
        )
    named = {**call["kwargs"], "initial_state": given[1:]}
    return {"args": given[:1], "kwargs": named}
