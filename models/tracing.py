"""Recurrent cells that show what their gates did: the readable twins of Keras's cells.

A twin borrows the weights of a Keras cell, computes the same step with `models.gates`,
and outputs every gate and memory by name. Knows nothing of layers or batches of
requests; `models.streaming` runs a twin beside the layer it explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from models import gates
from models.gates import Tensor
from models.peephole import PeepholeLSTMCell

Trace = dict[str, Tensor]


def trace_lstm(
    cell: keras.layers.LSTMCell, x: Tensor, states: Sequence[Tensor]
) -> Trace:
    """Compute one LSTM step, all gates shown; packing i, f, g, o, states (h, c)."""
    h_prev, c_prev = states
    z = x + ops.matmul(h_prev, cell.recurrent_kernel)
    z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
    activation, recurrent = cell.activation, cell.recurrent_activation
    i, g, learned = gates.learn(z_i, z_g, activation, recurrent)
    f, kept = gates.forget(z_f, c_prev, recurrent)
    c = gates.remember(kept, learned)
    o, h = gates.use(z_o, c, activation, recurrent)
    return {
        "learn": i,
        "candidate": g,
        "forget": f,
        "use": o,
        "trace_short_term": h,
        "trace_long_term": c,
    }


def trace_peephole(
    cell: PeepholeLSTMCell, x: Tensor, states: Sequence[Tensor]
) -> Trace:
    """Show the step of the peephole cell, which is written with the gates itself."""
    names = ("learn", "candidate", "forget", "use")
    memories = ("trace_short_term", "trace_long_term")
    h_prev, c_prev = states
    z = x + ops.matmul(h_prev, cell.recurrent_kernel)
    return dict(zip((*names, *memories), cell.open_gates(z, c_prev), strict=True))


def trace_gru(cell: keras.layers.GRUCell, x: Tensor, states: Sequence[Tensor]) -> Trace:
    """Compute one GRU step, both variants of `reset_after`; packing z, r, g.

        z = sigmoid(x W_z + h_prev U_z + b_z)                   update
        r = sigmoid(x W_r + h_prev U_r + b_r)                   reset
        g = tanh(x W_g + b_g + r * (h_prev U_g + d_g))          reset_after, or
        g = tanh(x W_g + b_g + (r * h_prev) U_g)                without
        h = z * h_prev + (1 - z) * g

    With `reset_after` (Keras's default) the reset gate scales the recurrent part of the
    candidate after its product with U, and that part has a bias of its own; without, it
    scales h before the product, as in the third version of Cho et al. (2014).
    """
    (h_prev,) = states
    _, bias_h = split_bias(cell)
    x_z, x_r, x_g = ops.split(x, 3, axis=-1)
    u_z, u_r, u_g = ops.split(cell.recurrent_kernel, 3, axis=-1)
    b_z, b_r, b_g = ops.split(bias_h, 3, axis=-1) if bias_h is not None else [None] * 3
    z = cell.recurrent_activation(x_z + add(ops.matmul(h_prev, u_z), b_z))
    r = cell.recurrent_activation(x_r + add(ops.matmul(h_prev, u_r), b_r))
    if cell.reset_after:
        g = cell.activation(x_g + r * add(ops.matmul(h_prev, u_g), b_g))
    else:
        g = cell.activation(x_g + ops.matmul(r * h_prev, u_g))
    h = gates.blend(z, g, h_prev)
    return {"update": z, "reset": r, "candidate": g, "trace_short_term": h}


def project(cell: Any, events: Tensor) -> Tensor:
    """Compute what a cell with a twin makes of events alone: x W + b.

    Args:
        cell: A cell of a kind in `TWINS`.
        events: Float of shape (..., features).

    Returns:
        Of shape (..., gates * units), packed as the kernel is.
    """
    is_gru = isinstance(cell, keras.layers.GRUCell)
    bias = split_bias(cell)[0] if is_gru else cell.bias
    return add(ops.matmul(events, cell.kernel), bias)


def split_bias(cell: keras.layers.GRUCell) -> tuple[Tensor | None, Tensor | None]:
    """Return the GRU's biases of the event's and of the memory's part."""
    if cell.bias is None:
        return None, None
    if cell.reset_after:
        return cell.bias[0], cell.bias[1]
    return cell.bias, None


def add(value: Tensor, bias: Tensor | None) -> Tensor:
    """Add a bias where the cell has one."""
    return value if bias is None else value + bias


def trace_rnn(
    cell: keras.layers.SimpleRNNCell, x: Tensor, states: Sequence[Tensor]
) -> Trace:
    """Compute one step of the simple RNN: h = tanh(x W + h_prev U + b).

    It has no gates, so only its short-term memory is shown.

    Reference: Elman, Finding Structure in Time, Cognitive Science 14(2), 1990,
    doi 10.1207/s15516709cog1402_1.
    """
    (h_prev,) = states
    z = x + ops.matmul(h_prev, cell.recurrent_kernel)
    return {"trace_short_term": cell.activation(z)}


# From a cell, the events as `project` gives them and the states.
Twin = Callable[[Any, Tensor, Sequence[Tensor]], Trace]

LSTM_TRACE = (
    "learn",
    "candidate",
    "forget",
    "use",
    "trace_short_term",
    "trace_long_term",
)
# The twin of each cell and what it shows, in the order `TracingCell` packs it.
TWINS: dict[type, tuple[Twin, tuple[str, ...]]] = {
    keras.layers.LSTMCell: (trace_lstm, LSTM_TRACE),
    PeepholeLSTMCell: (trace_peephole, LSTM_TRACE),
    keras.layers.GRUCell: (
        trace_gru,
        ("update", "reset", "candidate", "trace_short_term"),
    ),
    keras.layers.SimpleRNNCell: (trace_rnn, ("trace_short_term",)),
}


MEMORIES = ("trace_short_term", "trace_long_term")


def trace_unknown(cell: Any, x: Tensor, states: Sequence[Tensor]) -> Trace:
    """Show the memories of a cell of someone's own; its gates are its secret."""
    _, after = cell(x, list(states))
    return dict(zip(MEMORIES, after, strict=False))


def find_twin(cell: Any, num_states: int) -> tuple[Twin, tuple[str, ...]]:
    """Return a cell's twin and what it shows."""
    return TWINS.get(type(cell), (trace_unknown, MEMORIES[:num_states]))


class TracingCell(keras.layers.Layer):
    """A cell for `keras.layers.RNN` with an output of every gate and memory.

    Args:
        cell: A built Keras cell; its weights are borrowed, not copied.

    Call arguments:
        inputs: Events, float of shape (batch, features).
        states: Memories before the event, `[h]` or `[h, c]`, each (batch, units).

    Output shape:
        (batch, len(names) * units), packed in the order of `names`.
    """

    def __init__(self, cell: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self.state_size = cell.state_size
        sizes = keras.tree.flatten(cell.state_size)
        self.twin, self.names = find_twin(cell, len(sizes))
        self.output_size = len(self.names) * sizes[0]

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance one timestep."""
        del training  # an explanation is never a training step
        if type(self.cell) in TWINS:
            inputs = project(self.cell, inputs)
        trace = self.twin(self.cell, inputs, states)
        packed = ops.concatenate([trace[name] for name in self.names], axis=-1)
        return packed, [trace[name] for name in MEMORIES if name in trace]
