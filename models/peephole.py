"""The LSTM with peephole connections, which Keras does not have, as a Keras cell.

Runs inside `keras.layers.RNN`. Knows nothing of layers around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models import gates
from models.gates import Tensor


@keras.saving.register_keras_serializable(package="carryover")
class PeepholeLSTMCell(keras.layers.Layer):
    """An LSTM with gates that also look at the long-term memory.

    A plain LSTM's gates see the event and the short-term memory, which a closed use
    gate has emptied; with peepholes they see c itself, and can count.

        i = sigmoid(x W_i + h_prev U_i + p_i * c_prev + b_i)
        f = sigmoid(x W_f + h_prev U_f + p_f * c_prev + b_f)
        g = tanh(x W_g + h_prev U_g + b_g)
        c = f * c_prev + i * g
        o = sigmoid(x W_o + h_prev U_o + p_o * c + b_o)
        h = o * tanh(c)

    The use gate peeps at the new c, the others at the previous, as in the paper, with
    diagonal peepholes and gradients through all connections (the paper cuts them).
    Kernels are packed i, f, g, o as Keras packs its LSTM, peepholes i, f, o, states are
    (h, c): with zero peepholes it equals `keras.layers.LSTM` of the same weights.

    Initialisation: Glorot kernel (Glorot & Bengio 2010), orthogonal recurrent kernel
    (Saxe et al. 2013, arXiv 1312.6120), zero peepholes, so that training begins as a
    plain LSTM, and a forget bias of 1 (Jozefowicz et al. 2015).

    Args:
        units: Size of each memory.

    Call arguments:
        inputs: Events, float of shape (batch, features).
        states: Memories before the event, `[h, c]`, each (batch, units).

    Output shape:
        h of shape (batch, units), and `[h, c]`.

    Reference: Gers & Schmidhuber, Recurrent nets that time and count, IJCNN 2000,
    vol. 3, pp. 189-194, doi 10.1109/IJCNN.2000.861302.

    Example:
        >>> layer = keras.layers.RNN(PeepholeLSTMCell(4), return_sequences=True)
        >>> tuple(layer(ops.zeros((2, 7, 3))).shape)
        (2, 7, 4)
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units is {units}; give the size of a memory, 1 or more.")
        self.units = units
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for events of shape (batch, features)."""
        features = input_shape[-1]
        self.kernel = self.add_weight(
            (features, 4 * self.units), "glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, 4 * self.units), "orthogonal", name="recurrent_kernel"
        )
        self.peepholes = self.add_weight((3 * self.units,), "zeros", name="peepholes")
        self.bias = self.add_weight((4 * self.units,), forget_bias_of_one, name="bias")

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance one timestep."""
        del training  # nothing here is random
        h, c = self.step(inputs, states)[-2:]
        return h, [h, c]

    def step(
        self, x: Tensor, states: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Compute one step, everything shown: i, g, f, o, h, c."""
        h_prev, c_prev = states
        z = gates.preactivation(
            x, h_prev, self.kernel, self.recurrent_kernel, self.bias
        )
        return self.open_gates(z, c_prev)

    def open_gates(
        self, z: Tensor, c_prev: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Compute one step from its pre-activations: i, g, f, o, h, c."""
        z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
        p_i, p_f, p_o = ops.split(self.peepholes, 3)
        i, g, learned = gates.learn(z_i + p_i * c_prev, z_g)
        f, kept = gates.forget(z_f + p_f * c_prev, c_prev)
        c = gates.remember(kept, learned)
        o, h = gates.use(z_o + p_o * c, c)
        return i, g, f, o, h, c

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return the memories of a sequence that has not begun: zeros."""
        return [
            ops.zeros((batch_size, self.units), self.compute_dtype) for _ in range(2)
        ]

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the cell."""
        return {**super().get_config(), "units": self.units}


def forget_bias_of_one(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
    """Fill a packed bias i, f, g, o with zeros, and ones for f."""
    zeros = ops.zeros((shape[0] // 4,), dtype)
    return ops.concatenate([zeros, zeros + 1, zeros, zeros])
