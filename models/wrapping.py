"""Somebody's Keras model as a network from one `sequence`, as the rest expects it.

One sequence comes in and is split into what the model's inputs take; what comes out has
names. Knows no files and no SavedModels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import keras

from models.failing import find_layer
from models.gates import Tensor
from models.keras_graph import (
    TAKEN,
    find_embeddings,
    find_graph,
    find_operations,
    rename_clashes,
    rerun,
)
from models.ports import (
    CannotServe,
    Port,
    describe_inputs,
    read_ports,
    sequence_of,
    split_sequence,
)
from models.refusals import find_cause
from models.schemas import Schema
from models.statics import Statics, fill_statics
from models.windows import Windowed

# What an answer's fields mean already.
ANSWER_FIELDS = {"step", "session", "memory", "ended", "expires_at", "top", "decided"}
MIN_WINDOW, MAX_WINDOW = 2, 4096
ANSWER_FIELDS |= {"layers", "labels", "digest"}


@dataclass(frozen=True)
class Wrapped:
    """A model in the form the rest of the program takes.

    Args:
        network: From one sequence to an output, or to outputs by name.
        ports: The model's own inputs.
        inputs: Input schema.
        outputs: Output schema; `others` names the outputs besides the first.
        window: How many of the last events are served, or None for all.
        padding: What stands before the first event of a window.
        timesteps: How many the model was made for, or None for any.
    """

    network: keras.Model
    ports: list[Port]
    inputs: Schema
    outputs: Schema
    window: int | None = None
    padding: float = 0.0
    timesteps: int | None = None


def wrap_model(
    model: keras.Model,
    *,
    events: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    task: str | None = None,
    window: int | None = None,
    padding: float | None = None,
) -> Wrapped:
    """Wrap a model; operations of its graph may be given other names.

    Args:
        model: Sequential, Functional, or subclassed on a functional graph.
        events: Names of its events: of the indices its Embedding takes, or of the
            features of a one-hot input.
        labels: Names of the numbers its first output ends in.
        task: `next_event` where those are the probabilities of the event to come.
        window: How many of the last events the model is applied to, if not to all.
        padding: What a window is padded with; None for what the model masks, or 0.

    Raises:
        CannotServe: Inputs, outputs, names or task do not fit each other.
    """
    graph = find_graph(model)
    rename_clashes(graph)
    is_window = window is not None
    ports = read_ports(graph.inputs, find_embeddings(graph), is_window=is_window)
    ports = name_ports(graph, ports)
    timesteps = count_timesteps(graph, ports)
    check_window(timesteps, window)
    inputs = describe_inputs(ports, events)
    sequence = sequence_of(inputs, sum(port.columns for port in ports))
    padding = choose_padding(graph, inputs, window, padding)
    filled = fill_statics(sequence, ports)
    if window:
        inner = wrap_window(graph, ports, inputs, sequence, window)
        prediction = apply_window(Windowed(inner, window, padding), filled)
    else:
        tensors = split_sequence(filled, ports, inputs)
        values = [x for x, port in zip(tensors, ports, strict=True) if port.is_static]
        statics = Statics(filled, values, timesteps) if values else None
        prediction = rerun(graph, tensors, statics=statics)
    named = name_outputs(graph, prediction)
    outputs = describe_outputs(named, events, labels, task)
    (first, *rest) = named.values()
    results = {outputs["name"]: first, **dict(zip(list(named)[1:], rest, strict=True))}
    results = {name: show_number(tensor) for name, tensor in results.items()}
    first = results[outputs["name"]]
    network = keras.Model(sequence, results if rest else first)
    return Wrapped(network, ports, inputs, outputs, window, padding, timesteps)


def name_ports(graph: Any, ports: Sequence[Port]) -> list[Port]:
    """Name inputs by their keys where a model takes a dict, as `model.predict` does."""
    given = graph._inputs_struct
    names = sorted(given) if isinstance(given, dict) else [port.name for port in ports]
    return [replace(p, name=name) for p, name in zip(ports, names, strict=True)]


def count_timesteps(graph: Any, ports: Sequence[Port]) -> int | None:
    """Return how many timesteps a model was made for, None for any."""
    timesteps: int | None
    timesteps, *_ = [
        tensor.shape[1]
        for tensor, port in zip(graph.inputs, ports, strict=True)
        if not port.is_static
    ]
    return timesteps


def wrap_window(
    graph: Any, ports: list[Port], inputs: Schema, sequence: Tensor, window: int
) -> keras.Model:
    """Make the graph a model of one window, in the form sequences have."""
    part = keras.Input((window, *sequence.shape[2:]), dtype=sequence.dtype)
    outputs = rerun(graph, split_sequence(part, ports, inputs))
    return keras.Model(part, outputs)


def apply_window(layer: Windowed, sequence: Tensor) -> Any:
    """Apply a model to windows of a sequence.

    Raises:
        CannotServe: It cannot be run on several windows at once.
    """
    try:
        return layer(sequence)
    except Exception as error:
        instead = "Use another layer in its place."
        if isinstance(error, NameError):
            instead = "Import or define it inside of the function that uses it."
        raise CannotServe(
            f"the model cannot be run on windows of {layer.size} events"
            f"{find_layer(error)}: {find_cause(error)}. {instead}"
        ) from error


def check_window(timesteps: int | None, window: int | None) -> None:
    """Refuse a window that the model does not take.

    Raises:
        CannotServe: It has another number of timesteps.
    """
    if window is None:
        return
    if not MIN_WINDOW <= window <= MAX_WINDOW or timesteps not in (
        None,
        window,
    ):
        takes = timesteps or f"{MIN_WINDOW} to {MAX_WINDOW}"
        raise CannotServe(
            f"--window is {window}; expected the model's number of timesteps, {takes}. "
            "Give that number."
        )


def choose_padding(
    graph: Any, inputs: Schema, window: int | None, padding: float | None
) -> float:
    """Return what a window is padded with.

    Raises:
        CannotServe: There is no window, or the number is not one of the model's events.
    """
    if padding is None:
        return find_padding(graph)
    if window is None:
        raise CannotServe(
            f"--padding is {padding:g} and there is no window to pad; expected "
            "--window N beside it. Give both, or neither."
        )
    size = inputs.get("size") or len(inputs.get("vocabulary", ()))
    is_index = inputs["kind"] in ("event", "index")
    if is_index and not (padding.is_integer() and 0 <= padding < size):
        raise CannotServe(
            f"--padding is {padding:g}; expected the index of an event, 0 to "
            f"{size - 1}. Give the index the model was trained to pad with."
        )
    if not math.isfinite(padding):
        raise CannotServe(f"--padding is {padding}; expected a number. Give a number.")
    return padding


def find_padding(graph: Any) -> float:
    """Return what a model was trained to pad with: what it masks, or 0."""
    found = find_operations(graph)
    masks = [x.mask_value for x in found if isinstance(x, keras.layers.Masking)]
    return float(masks[0]) if masks else 0.0


def show_number(tensor: Tensor) -> Tensor:
    """Make an output float32, as answers are: 0 and 1 of what is false and true."""
    if tensor.dtype in ("float32", "int32"):
        return tensor
    return keras.ops.cast(tensor, "float32")


def name_outputs(graph: Any, prediction: Any) -> dict[str, Tensor]:
    """Give a model's outputs their names: its own.

    Raises:
        CannotServe: A name means something else in an answer.
    """
    names, tensors = graph.output_names, keras.tree.flatten(prediction)
    if isinstance(prediction, dict):
        names, tensors = list(prediction), list(prediction.values())
    named = dict(zip(number_names(names), tensors, strict=True))
    bad = [n for n in named if n in ANSWER_FIELDS or TAKEN.fullmatch(n)]
    if len(tensors) > 1 and bad:
        raise refuse_names(names, bad)
    return named


def number_names(names: Sequence[str]) -> list[str]:
    """Give outputs of one name a number each after the first, as Keras does layers.

    An output has the name of its layer, so the states of an LSTM have one name.
    """
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{k}" for k in count(1) if f"{name}_{k}" not in names)
        free = (other for other in chain([name], numbered) if other not in found)
        found.append(next(free))
    return found


def refuse_names(names: Sequence[str], bad: Sequence[str]) -> CannotServe:
    """Say which names of outputs cannot be, and how to change them."""
    given = ", ".join(map(repr, names))
    taken = ", ".join(map(repr, bad))
    return CannotServe(
        f"the outputs are named {given}, and {taken} "
        f"{'are' if len(bad) > 1 else 'is'} the name of something else in an answer; "
        "expected other names. Give an output a name with "
        'keras.layers.Identity(name="...") after its layer, and save the model again.'
    )


def describe_outputs(
    named: Mapping[str, Tensor],
    events: Sequence[str] | None,
    labels: Sequence[str] | None,
    task: str | None,
) -> Schema:
    """Write the output schema of a model.

    Raises:
        CannotServe: There are more or fewer labels than numbers.
    """
    if task == "next_event":
        labels = check_next_event(events, labels)
    first, *others = named
    (kind, name) = ("label", "probabilities") if labels else ("values", "values")
    outputs: dict[str, Any] = {
        "kind": task or kind,
        "name": first if others else name,
    }
    if labels:
        size = named[first].shape[-1]
        if size != len(labels):
            raise CannotServe(
                f"there are {len(labels)} labels and output {first!r} ends in {size} "
                "numbers; they must be as many, line k naming number k."
            )
        outputs["labels"] = list(labels)
    return {**outputs, "others": others} if others else outputs


def check_next_event(
    events: Sequence[str] | None, labels: Sequence[str] | None
) -> Sequence[str]:
    """Return what a next-event model answers: the events.

    Raises:
        CannotServe: The events have no names, or the labels are others.
    """
    if events is None or (labels is not None and list(labels) != list(events)):
        raise CannotServe(
            "--task next-event answers the probability of each event to come, so its "
            "labels are the events. Name them with --events and leave --labels out."
        )
    return events
