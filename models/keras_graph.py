"""Somebody's functional graph, run again on other tensors.

Nested models are laid open, what layers keep from call to call (`stateful=True`) and a
fixed batch size are left behind, and no weight is copied. Knows no schemas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras

from models.ports import CannotServe
from models.refusals import (
    describe,
    find_cause,
    refuse_batch,
    refuse_failure,
    refuse_list,
)
from models.statics import Statics
from models.timesteps import (
    FeatureReshape,
    LastStep,
    at_rest,
    distribute,
    is_tensor,
    merge_masked,
)
from models.windows import Windowed

# Called with each operation and the tensors it gets.
Visit = Callable[[Any, Sequence[Any]], None]
# Names the stream gives to tensors of its own.
TAKEN = re.compile(
    r"sequence|length|expected|surprise|alone_.*|((trace_)?(short|long)_term|buffer|"
    r"running|count|window|static|begun|fixed|previous_time|learn|candidate|forget|use|update|"
    r"reset)_\d+"
)
# Layers that compute with the masks of their inputs, not only hand them on.
MASKED_MERGES = (keras.layers.Multiply, keras.layers.Maximum, keras.layers.Minimum)
# Numbers at the end of names that Keras could reach by counting.
MAX_COUNT = 10_000


def find_graph(model: keras.Model) -> Any:
    """Return the functional graph of a model.

    Raises:
        CannotServe: It has none.
    """
    is_sequential = isinstance(model, keras.Sequential)
    graph = model._functional if is_sequential else model
    if hasattr(graph, "_run_through_graph"):
        return graph
    why, instead = (
        explain_unbuilt(model)
        if is_sequential
        else ("its call() is code", "Build it as keras.Model(inputs, outputs).")
    )
    raise CannotServe(
        f"model {model.name!r} has no graph of layers that could be run step by step: "
        f"{why}. {instead}"
    )


def explain_unbuilt(model: keras.Sequential) -> tuple[str, str]:
    """Say why Keras built no graph of a Sequential, and what to do."""
    first, *rest = model._layers or [None]
    if not isinstance(first, keras.layers.InputLayer):
        return "its input shape is not known", "Begin it with keras.Input(shape)."
    hidden = first.output
    for layer in rest:
        try:
            hidden = layer(hidden)
        except Exception as error:
            why = f"the shape after {describe(layer)} is not known: {find_cause(error)}"
            return why, "Give a Lambda its output_shape, or use a layer in its place."
    return "Keras left it unbuilt", "Build it as keras.Model(inputs, outputs)."


def rerun(
    model: Any,
    tensors: Sequence[Any],
    visit: Visit | None = None,
    statics: Statics | None = None,
) -> Any:
    """Run a graph on other tensors, nested models laid open, nothing kept.

    Raises:
        CannotStream: An operation cannot be run on any number of timesteps.
    """
    is_single = all(x.shape[1:2] == (1,) for x in model.inputs)

    def replace(operation: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            given = keras.tree.flatten((args, kwargs))
            if visit:
                visit(operation, given)
            if isinstance(operation, keras.Model):
                return rerun(find_graph(operation), args, visit, statics)
            call = stand_in(operation, is_single)
            try:
                if statics:
                    results = statics.run(operation, call, args, kwargs)
                else:
                    results = call(*args, **kwargs)
            except Exception as error:
                raise refuse_failure(operation, error) from error
            if not isinstance(operation, Windowed):  # its layers were seen one by one
                refuse_batch(operation, given, results)
                refuse_list(operation, args, results)
            return results

        return run

    return model._run_through_graph(list(tensors), operation_fn=replace)


def stand_in(operation: Any, is_single: bool) -> Any:
    """Return an operation, or what does the same on any number of timesteps.

    Args:
        operation: Of the graph.
        is_single: Whether the model takes one timestep a call.
    """
    if isinstance(operation, keras.layers.TimeDistributed):
        return partial(distribute, operation)
    if isinstance(operation, MASKED_MERGES):
        return partial(merge_masked, operation)
    if isinstance(operation, keras.layers.Lambda):
        return partial(trace_code, operation)
    if isinstance(operation, keras.layers.RNN) and operation.stateful:
        return forget(operation)
    if isinstance(operation, keras.layers.Reshape):
        features = find_features(operation)
        if features:
            return FeatureReshape(features, name=operation.name)
    joins = (keras.layers.Flatten, keras.layers.Reshape)
    if is_single and isinstance(operation, joins):
        return partial(take_single, operation)
    return at_rest(operation)


def trace_code(layer: keras.layers.Lambda, *args: Any, **kwargs: Any) -> Any:
    """Run the code of a Lambda on tensors of the graph: `x[:, -1]` becomes a slice.

    Code of TensorFlow or NumPy takes no such tensors: that Lambda stays a layer.
    """
    try:
        results = layer.call(*args, **kwargs)
    except Exception:
        return layer(*args, **kwargs)
    is_traced = all(map(is_tensor, keras.tree.flatten(results)))
    return results if is_traced else layer(*args, **kwargs)


def find_features(layer: keras.layers.Reshape) -> tuple[int, ...]:
    """Return the features of one timestep after a Reshape that keeps timesteps.

    Empty where it moves them.
    """
    shape = layer._inbound_nodes[0].input_tensors[0].shape
    if len(shape) < 2:
        return ()
    _, timesteps, *before = shape
    first, *after = layer.target_shape
    if None in before or not after or first not in (-1, timesteps):
        return ()
    size = math.prod(before)
    if -1 in after:
        known = -math.prod(after)
        after[after.index(-1)] = size // known if known else 0
    return tuple(after) if math.prod(after) == size else ()


def take_single(layer: keras.layers.Layer, hidden: Any, **_: Any) -> Any:
    """Join the axes of features where there is one timestep a call: the last."""
    if hidden.shape[1] is not None:
        return layer(hidden)
    shape = layer.compute_output_shape((hidden.shape[0], 1, *hidden.shape[2:]))
    return LastStep(shape[1:])(hidden)


def forget(layer: keras.layers.RNN) -> keras.layers.RNN:
    """Return a stateful layer's cell in a layer that keeps nothing."""
    return keras.layers.RNN(
        layer.cell,
        return_sequences=layer.return_sequences,
        return_state=layer.return_state,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
        name=layer.name,
    )


def find_operations(graph: Any) -> list[Any]:
    """List the operations of a graph and of the models nested in it, each once."""
    found: dict[int, Any] = {}
    for operation in graph.operations:
        inner = []
        if isinstance(operation, keras.Model):
            inner = find_operations(find_graph(operation))
        elif not isinstance(operation, keras.layers.InputLayer):
            inner = [operation]
        found.update((id(one), one) for one in inner)
    return list(found.values())


def rename_clashes(graph: Any) -> None:
    """Give every operation a name that no other has, nor the stream will want.

    Names come back from a file, but Keras's counters restart: without this, the
    first addition made here would be called `add`, as one of the file's may be.
    """
    seen: set[str] = set()
    for operation in find_operations(graph):
        while operation.name in seen or TAKEN.fullmatch(operation.name):
            operation.name += "_again" if operation.name in seen else "_layer"
        seen.add(operation.name)
    for name in seen:
        prefix, _, number = name.rpartition("_")
        if not (prefix and number.isdecimal()):
            prefix, number = name, "0"
        while int(number) < MAX_COUNT:
            if keras.backend.get_uid(prefix) > int(number):
                break


def find_embeddings(graph: Any) -> dict[int, int]:
    """Find the Embedding an input goes to: its input_dim by the input's position."""
    probes = [
        keras.Input(x.shape[1:], dtype=x.dtype) if len(x.shape) > 1 else x
        for x in graph.inputs
    ]
    position = {id(probe): k for k, probe in enumerate(probes)}
    sizes: dict[int, int] = {}

    def visit(operation: Any, tensors: Sequence[Any]) -> None:
        for k in (position[id(x)] for x in tensors if id(x) in position):
            size = count_indices(operation)
            if size:
                sizes[k] = min(size, sizes.get(k, size))

    rerun(graph, probes, visit)
    return sizes


def count_indices(layer: Any) -> int:
    """Return how many indices a layer takes, if it is or begins with an Embedding."""
    if isinstance(layer, keras.layers.TimeDistributed):
        return count_indices(layer.layer)
    if isinstance(layer, keras.Model):
        return find_embeddings(find_graph(layer)).get(0, 0)
    return layer.input_dim if isinstance(layer, keras.layers.Embedding) else 0
