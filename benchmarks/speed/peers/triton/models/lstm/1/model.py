"""Triton's model: one LSTM-128 step in NumPy, memory by correlation id.

Triton's Python back end imports this file in a process of its own and calls it with
every batch that the sequence batcher made. The weights are those the service has.
"""

from __future__ import annotations

import os

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """Model of Triton's Python back end, which looks for this name."""

    def initialize(self, args):
        """Read the weights; nothing is remembered yet."""
        weights = np.load(os.environ["WEIGHTS"])
        self.kernel, self.recurrent, self.bias, self.head, self.head_bias = (
            weights[name] for name in weights.files
        )
        blank = np.zeros(len(self.recurrent), np.float32)
        self.blank = blank, blank
        self.memory: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def execute(self, requests):
        """Advance every sequence of a batch by its event."""
        events, starts, names = (
            np.concatenate([read(request, name)[:, 0] for request in requests])
            for name in ("event", "start", "sequence")
        )
        blank, memory = self.blank, self.memory
        before = [
            blank if start else memory.get(name, blank)
            for start, name in zip(starts, names.tolist(), strict=True)
        ]
        h, c = (np.stack(tensors) for tensors in zip(*before, strict=True))
        h, c = self.step(events, h, c)
        for name, *after in zip(names.tolist(), h, c, strict=True):
            memory[name] = after
        return [
            triton.InferenceResponse([triton.Tensor("probabilities", row[None])])
            for row in softmax(h @ self.head + self.head_bias)
        ]

    def step(self, events, h, c):
        """Advance memory of shape (batch, units) by events of shape (batch,).

        i, f, g, o are packed in Keras's order; events are one-hot, so that their
        product with the kernel is a row of it.
        """
        gates = self.kernel[events] + h @ self.recurrent + self.bias
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c


def read(request, name):
    """Return one input of a request, shape (1, 1)."""
    return triton.get_input_tensor_by_name(request, name).as_numpy()


def sigmoid(x):
    """Squash to 0..1."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def softmax(x):
    """Make probabilities of the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
