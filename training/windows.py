"""Truncated back-propagation: sequences in windows, their state carried between.

The state that a window ends with begins the next one; gradients stop at the border, so
that memory is that of one window, however long a sequence is.

Reference: Williams & Peng, An Efficient Gradient-Based Algorithm for On-Line Training
of Recurrent Network Trajectories, Neural Computation 2(4), 1990,
doi 10.1162/neco.1990.2.4.490.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from models.streaming import carry_network
from training.batches import Window
from training.data.dataset import Examples

Loss = Callable[[Any, Any], Any]
Tensors = dict[str, Any]


class WindowRunner:
    """Trains or tests a network on windows.

    A batch of one window is Keras's own `train_on_batch` or `test_on_batch`: where no
    sequence is longer than a window, the weights are those of training without one.

    Args:
        network: Compiled.
        is_training: Whether weights are changed.
    """

    def __init__(self, network: keras.Model, *, is_training: bool) -> None:
        self._network, self._is_training = network, is_training
        # Made when the first batch has more windows than one; most data have none.
        self._form: Any = None
        self._step: Any = None
        self._memory: Tensors = {}

    def run(self, window: Window) -> float:
        """Return the loss of a window: of all heads together."""
        if window.carried is None and not window.continues:
            network = self._network
            once = (
                network.train_on_batch if self._is_training else network.test_on_batch
            )
            return run_batch(network, once, window.examples)
        if self._form is None:
            self._prepare(window.examples)
        sequences, targets, weights = map(tf.convert_to_tensor, window.examples)
        memory = self._begin(len(window.lengths))
        if window.carried is not None:
            memory = {
                name: tf.gather(state, window.carried)
                for name, state in self._memory.items()
            }
        lengths = tf.convert_to_tensor(window.lengths)
        given = {"sequence": sequences, "length": lengths, **memory}
        loss, self._memory = self._step(given, targets, weights)
        return float(loss)

    def _prepare(self, examples: Examples) -> None:
        """Make the network that carries its memory, and a step for any shape."""
        self._form = carry_network(self._network)
        given = {
            name: tf.TensorSpec(tensor.shape, tensor.dtype)
            for name, tensor in self._form.input.items()
        }
        targets, weights = (
            tf.TensorSpec((None, None, *array.shape[2:]), array.dtype)
            for array in (examples.targets, examples.weights)
        )
        self._step = tf.function(
            self._train if self._is_training else self._measure,
            autograph=False,
            input_signature=[given, targets, weights],
        )

    def _begin(self, rows: int) -> Tensors:
        """Make the memory of sequences that have not begun."""
        memory: Mapping[str, Any] = self._form.input
        return {
            name: tf.zeros((rows, *tensor.shape[1:]), tensor.dtype)
            for name, tensor in memory.items()
            if name not in ("sequence", "length")
        }

    def _train(self, given: Tensors, targets: Any, weights: Any) -> Any:
        """Make one update; return the loss and the memory after the window."""
        with tf.GradientTape() as tape:
            loss, memory = self._measure(given, targets, weights)
        variables = self._network.trainable_variables
        gradients = tape.gradient(loss, variables)
        self._network.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss, memory

    def _measure(self, given: Tensors, targets: Any, weights: Any) -> Any:
        """Return the loss and the memory after the window."""
        made = self._form(given, training=self._is_training)
        loss = weigh_outputs(self._network, made["outputs"], targets, weights)
        return loss, made["memory"]


def weigh_outputs(network: keras.Model, made: Any, targets: Any, weights: Any) -> Any:
    """Compute the loss of all heads together."""
    if not isinstance(made, dict):
        return weigh_loss(network.loss, targets, made, weights)
    parts = [
        weigh_loss(network.loss[name], targets[..., k], made[name], weights[..., k])
        for k, name in enumerate(network.output)
    ]
    return sum(parts)


def weigh_loss(loss: Any, targets: Any, made: Any, weights: Any) -> Any:
    """Compute a loss as Keras does: the weighted sum by the number of all weights."""
    values = keras.losses.get(loss)(targets, made)
    return ops.sum(values * weights) / ops.cast(ops.size(weights), values.dtype)


def run_batch(network: keras.Model, run: Callable[..., Any], batch: Examples) -> float:
    """Train or test a network on a batch, and return its loss: of all heads together.

    Args:
        network: With one output or several.
        run: Its `train_on_batch` or `test_on_batch`.
        batch: The examples.
    """
    sequences, targets, weights = batch
    if not isinstance(network.output, dict):
        return float(run(sequences, targets, sample_weight=weights))
    names = list(network.output)
    total, *_ = run(
        sequences,
        {name: targets[..., k] for k, name in enumerate(names)},
        sample_weight={name: weights[..., k] for k, name in enumerate(names)},
    )
    return float(total)
