"""A network as a pure function of sequence and memory.

    (sequence, length, memory) -> (outputs at every timestep, memory')

The layers are the trained ones; only their states are handed in and out. Not Keras's
`stateful=True`: it keeps one client's memory inside the model, fixes the batch size and
cannot be exported safely. Knows nothing of SavedModels, sessions or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from models.features import Schema, Tensor
from models.tracing import TracingCell

# State order (h, c), as Keras has it.
STATE_NAMES = ("short_term", "long_term")
# The smallest normal float32: keeps -ln(p) finite where a probability underflows.
SMALLEST_PROBABILITY = 1.2e-38


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
    """

    advance: keras.Model
    explain: keras.Model
    memory: dict[str, tuple[int, ...]]


def stream_network(
    network: keras.Model, outputs: Schema, timesteps: int | None = None
) -> StreamingNetwork:
    """Give a trained network's layers a memory that travels with the call.

    Args:
        network: Functional model from `sequence` to one output per timestep.
        outputs: Its output schema; a `next_event` network gets a memory tensor
            `expected` and an output `surprise`, -ln of the probability the network had
            given to each arriving event (0 for the first of a sequence).
        timesteps: A fixed number of timesteps, unrolled without a loop, as compilers
            like it; None for any number.

    Returns:
        The streaming form, sharing the network's weights.

    Raises:
        ValueError: A recurrent layer is of a kind that has no streaming form.
    """
    advance, memory = unfold(network, outputs, timesteps, explain=False)
    explain, _ = unfold(network, outputs, timesteps, explain=True)
    return StreamingNetwork(advance, explain, memory)


def unfold(
    network: keras.Model, outputs: Schema, timesteps: int | None, *, explain: bool
) -> tuple[keras.Model, dict[str, tuple[int, ...]]]:
    """Run the network's graph again with memory as inputs and outputs."""
    wiring = Wiring(network.inputs[0], timesteps, explain=explain)
    # Keras has no public call that runs a functional graph with some layers replaced
    # (clone_model cannot add inputs); its own cloning is built on this one.
    prediction = network._run_through_graph(
        [wiring.sequence], operation_fn=wiring.replace
    )
    prediction = prediction[0] if isinstance(prediction, list) else prediction
    wiring.results[outputs["name"]] = prediction
    if outputs["kind"] == "next_event":
        wiring.add_surprise(prediction)
    shapes = {name: tuple(m.shape[1:]) for name, m in wiring.memory.items()}
    inputs = {"sequence": wiring.sequence, "length": wiring.length, **wiring.memory}
    return keras.Model(inputs, wiring.results), shapes


def position(sequence: Tensor) -> Tensor:
    """Number the timesteps from 1: int32 of shape (batch, timesteps).

    A running count, because a symbolic sequence does not know its length.
    """
    column = sequence if len(sequence.shape) == 2 else sequence[..., 0]
    return ops.cumsum(ops.ones_like(column, dtype="int32"), axis=1)


class Wiring:
    """Collects memory inputs and outputs while a network's graph is run again."""

    def __init__(
        self, sequence: Tensor, timesteps: int | None, *, explain: bool
    ) -> None:
        self.explain = explain
        self.unroll = timesteps is not None
        self.sequence = keras.Input(
            (timesteps, *sequence.shape[2:]), dtype=sequence.dtype, name="sequence"
        )
        self.length = keras.Input((), dtype="int32", name="length")
        self.mask = position(self.sequence) <= self.length[:, None]
        self.memory: dict[str, Tensor] = {}
        self.results: dict[str, Tensor] = {}
        self.num_recurrent = 0

    def replace(self, operation: Any) -> Any:
        """Return what stands in for an operation of the graph."""
        if not isinstance(operation, keras.layers.RNN):
            return operation
        if operation.go_backwards or not operation.return_sequences:
            raise ValueError(
                f"layer {operation.name!r} has go_backwards=True or "
                "return_sequences=False; a stream needs a forward layer with an "
                "output per timestep."
            )
        return lambda hidden, **kwargs: self.advance_layer(operation, hidden)

    def advance_layer(self, layer: keras.layers.RNN, hidden: Tensor) -> Tensor:
        """Call a recurrent layer's cell with its memory handed in and out."""
        index, self.num_recurrent = self.num_recurrent, self.num_recurrent + 1
        sizes = layer.cell.state_size
        sizes = [sizes] if isinstance(sizes, int) else sizes
        names = [f"{name}_{index}" for name in STATE_NAMES[: len(sizes)]]
        before = [
            keras.Input((size,), dtype="float32", name=name)
            for name, size in zip(names, sizes, strict=True)
        ]
        self.memory.update(zip(names, before, strict=True))
        remembering = keras.layers.RNN(
            layer.cell,
            return_sequences=True,
            return_state=True,
            unroll=self.unroll,
        )
        output, *after = remembering(hidden, initial_state=before, mask=self.mask)
        self.results.update(zip(names, after, strict=True))
        if self.explain:
            self.add_trace(TracingCell(layer.cell), hidden, before, index)
        return output

    def add_trace(
        self, cell: TracingCell, hidden: Tensor, before: list[Tensor], index: int
    ) -> None:
        """Run a layer's readable twin beside it, on the same events and memory."""
        tracing = keras.layers.RNN(cell, return_sequences=True, unroll=self.unroll)
        packed = tracing(hidden, initial_state=before, mask=self.mask)
        parts = ops.split(packed, len(cell.names), axis=-1)
        names = [f"{name}_{index}" for name in cell.names]
        self.results.update(zip(names, parts, strict=True))

    def add_surprise(self, probabilities: Tensor) -> None:
        """Compare each arriving event with what was expected before it.

        The expectation outlives the call, so it is memory: `expected`, of shape
        (batch, labels), the probabilities given after the last event.
        """
        before = keras.Input((probabilities.shape[-1],), name="expected")
        self.memory["expected"] = before
        expected = ops.concatenate([before[:, None], probabilities], axis=1)
        # One more timestep than the sequence: the last is for the event after it.
        arrived = ops.take_along_axis(
            expected[:, :-1], ops.cast(self.sequence, "int32")[..., None], axis=-1
        )[..., 0]  # (batch, timesteps)
        begun = ops.any(expected[:, :-1] > 0, axis=-1)
        surprise = -ops.log(ops.maximum(arrived, SMALLEST_PROBABILITY))
        self.results["surprise"] = ops.where(begun, surprise, 0.0)
        last = ops.cast(self.length, "int32")[:, None, None]
        self.results["expected"] = ops.take_along_axis(expected, last, axis=1)[:, 0]
