"""A network as a pure function of sequence and memory.

    (sequence, length, memory) -> (outputs at every timestep, memory')

The layers are the trained ones; only what they remember is handed in and out. Not
Keras's `stateful=True`: it keeps one client's memory inside the model, fixes the batch
size and cannot be exported safely. Knows nothing of SavedModels, sessions or HTTP; what
stands in for each kind of layer is in `models.forms`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from models.features import Schema
from models.forms import find_form
from models.gates import Tensor
from models.stream import Regroup, Stream, position

# The smallest normal float32: keeps -ln(p) finite where a probability underflows.
MIN_PROBABILITY = 1.2e-38


@dataclass(frozen=True)
class StreamingNetwork:
    """A network with its memory made visible.

    Args:
        advance: Keras model from `{"sequence", "length", **memory}` to outputs and
            memory by name. `length` is int32 of shape (batch,); timesteps from
            `length` on are padding and change nothing.
        explain: The same, with the gates and memories of every layer and timestep.
        memory: Shape of each memory tensor without the batch axis, in layer order.
            All zeros is the memory of a sequence that has not begun.
        dtype: Of the memory.
    """

    advance: keras.Model
    explain: keras.Model
    memory: dict[str, tuple[int, ...]]
    dtype: str = "float32"


def stream_network(
    network: keras.Model,
    outputs: Schema,
    timesteps: int | None = None,
    *,
    dtype: str | None = None,
) -> StreamingNetwork:
    """Give a trained network's layers a memory that travels with the call.

    Args:
        network: Functional or Sequential model from one sequence to an output per
            timestep or per sequence, or to a dict of such. An output per sequence
            becomes one per timestep: what it would be if the sequence ended there.
        outputs: Its output schema; a `next_event` network gets a memory tensor
            `expected` and an output `surprise`, -ln of the probability the network had
            given to each arriving event (0 for the first of a sequence).
        timesteps: A fixed number of timesteps, unrolled without a loop, as compilers
            like it; None for any number.
        dtype: Of the memory; None for that of `choose_dtype`.

    Returns:
        The streaming form, sharing the network's weights.

    Raises:
        CannotStream: A layer needs events that have not come yet, or is of a kind that
            has no streaming form.
    """
    dtype = dtype or choose_dtype(network)
    advance, memory = unfold(network, outputs, timesteps, dtype, explain=False)
    explain, _ = unfold(network, outputs, timesteps, dtype, explain=True)
    return StreamingNetwork(advance, explain, memory, dtype)


def carry_network(network: keras.Model) -> keras.Model:
    """Make a network in training take and return its memory, for windows.

    Args:
        network: From `models.networks.build_network`.

    Returns:
        A Keras model from `{"sequence", "length", **memory}` to `{"outputs", "memory"}`
        that shares the network's layers: outputs as the network has them, memory by
        name. No gradient passes from a memory to the window that it came from. Called
        with `training=True`, dropout drops.
    """
    (declared,) = network.inputs
    sequence = keras.Input(declared.shape[1:], dtype=declared.dtype, name="sequence")
    length = keras.Input((), dtype="int32", name="length")
    stream = Stream(
        mask=position(sequence) <= length[:, None],
        length=length,
        is_unrolled=False,
        is_explained=False,
        dtype=choose_dtype(network),
    )
    outputs = run_graph(network, stream, sequence)
    inputs = {"sequence": sequence, "length": length, **stream.before}
    return keras.Model(inputs, {"outputs": outputs, "memory": stream.after})


def choose_dtype(network: keras.Model) -> str:
    """Return the type of a network's memory: float64 if any layer computes in it."""
    layers = network._flatten_layers(include_self=False)
    wide = any(getattr(layer, "compute_dtype", "") == "float64" for layer in layers)
    return "float64" if wide else "float32"


def unfold(
    network: keras.Model,
    outputs: Schema,
    timesteps: int | None,
    dtype: str,
    *,
    explain: bool,
) -> tuple[keras.Model, dict[str, tuple[int, ...]]]:
    """Run the network's graph again with memory as inputs and outputs."""
    (declared,) = network.inputs
    sequence = keras.Input(
        (timesteps, *declared.shape[2:]), dtype=declared.dtype, name="sequence"
    )
    length = keras.Input((), dtype="int32", name="length")
    stream = Stream(
        mask=position(sequence) <= length[:, None],
        length=length,
        is_unrolled=timesteps is not None,
        is_explained=explain,
        dtype=dtype,
    )
    prediction = run_graph(network, stream, sequence)
    results = {**name_outputs(prediction, outputs), **stream.traces, **stream.after}
    if explain:
        results |= see_alone(network, stream, sequence, outputs)
    if outputs["kind"] == "next_event":
        add_surprise(stream, results, sequence, results[outputs["name"]])
    shapes = {name: tuple(m.shape[1:]) for name, m in stream.before.items()}
    inputs = {"sequence": sequence, "length": length, **stream.before}
    return keras.Model(inputs, results), shapes


def see_alone(
    network: keras.Model, stream: Stream, sequence: Tensor, outputs: Schema
) -> dict[str, Tensor]:
    """Predict from each event alone, as if nothing had come before it.

    What the memory adds to a prediction is its difference from this: outputs named
    `alone_...`, of the outputs' shapes.
    """
    filled = sequence if stream.filled is None else stream.filled
    events = ops.reshape(filled, (-1, 1, *sequence.shape[2:]))
    mask = position(events) > 0
    forgetful = Stream(
        mask=mask,
        length=ops.cast(mask[:, 0], "int32"),
        is_unrolled=True,
        is_explained=False,
        dtype=stream.dtype,
        is_forgetful=True,
    )
    alone = name_outputs(run_graph(network, forgetful, events), outputs)
    regroup = Regroup()
    return {f"alone_{name}": regroup(x, sequence) for name, x in alone.items()}


def run_graph(network: keras.Model, stream: Stream, *tensors: Tensor) -> Any:
    """Run a functional graph with each operation replaced by its streaming form.

    Keras has no public call for it (clone_model cannot add inputs); its own cloning is
    built on the one used here.
    """
    graph = network._functional if isinstance(network, keras.Sequential) else network

    def replace(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            return lambda *inner, **_: run_graph(operation, stream, *inner)
        return find_form(operation, stream)

    return graph._run_through_graph(list(tensors), operation_fn=replace)


def name_outputs(prediction: Any, outputs: Schema) -> dict[str, Tensor]:
    """Give a network's outputs their names: its own, or the schema's for the one."""
    if isinstance(prediction, dict):
        return dict(prediction)
    if isinstance(prediction, list):
        (prediction,) = prediction
    return {outputs["name"]: prediction}


def add_surprise(
    stream: Stream, results: dict[str, Tensor], sequence: Tensor, probabilities: Tensor
) -> None:
    """Compare each arriving event with what was expected before it.

    The expectation outlives the call, so it is memory: `expected`, of shape
    (batch, labels), the probabilities given after the last event.
    """
    before = stream.remember("expected", (probabilities.shape[-1],))
    expected = ops.concatenate([before[:, None], probabilities], axis=1)
    events = sequence if len(sequence.shape) == 2 else sequence[..., 0]
    # One more timestep than the sequence: the last is for the event after it.
    arrived = ops.take_along_axis(
        expected[:, :-1], ops.cast(events, "int32")[..., None], axis=-1
    )[..., 0]  # (batch, timesteps)
    begun = ops.any(expected[:, :-1] > 0, axis=-1)
    surprise = -ops.log(ops.maximum(arrived, MIN_PROBABILITY))
    results["surprise"] = ops.where(begun, surprise, 0.0)
    last = stream.length[:, None, None]
    results["expected"] = ops.take_along_axis(expected, last, axis=1)[:, 0]
