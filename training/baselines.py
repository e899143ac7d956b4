"""Networks to compare with: the same without memory, the same size without gates.

And prediction with either, so that evaluation sees functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from training.config import Config
from training.data.dataset import Array, Examples
from training.evaluate.metric import Predict

# About this many timesteps per call: large enough to be quick, small in memory.
TIMESTEPS_PER_CALL = 65_536


class Baseline(NamedTuple):
    """Difference of a baseline from the network.

    Args:
        share: How many of the network's epochs it trains for; simpler networks are
            done sooner, and nobody waits for them.
        adapt: Changes the configuration.
        present: Changes the examples.
        predict: Makes a network a function from sequences to outputs.
    """

    share: float
    adapt: Callable[[Config, Examples], Config]
    present: Callable[[Examples], Examples]
    predict: Callable[[keras.Model], Predict]


def predict_with(network: keras.Model) -> Predict:
    """Make a network a function from sequences to outputs per timestep."""
    signature = tf.TensorSpec(network.input.shape, network.input.dtype)
    # Not network.predict: it compiles again for every length of sequence.
    call = tf.function(
        lambda sequences: network(sequences, training=False),
        autograph=False,
        input_signature=[signature],
    )

    def predict(sequences: Array) -> Array:
        batch_size = max(1, TIMESTEPS_PER_CALL // sequences.shape[1])
        starts = range(0, len(sequences), batch_size)
        parts = [call(sequences[start : start + batch_size]) for start in starts]
        # Of several heads a dict.
        joined: Array = keras.tree.map_structure(lambda *x: np.concatenate(x), *parts)
        return joined

    return predict


def predict_without_memory(network: keras.Model) -> Predict:
    """Make a network a function that sees each event as if it were the first."""

    def predict(sequences: Array) -> Array:
        alone = predict_with(network)(separate(sequences))
        return alone.reshape(*sequences.shape[:2], *alone.shape[2:])

    return predict


def separate(array: Array) -> Array:
    """Turn (batch, timesteps, ...) into (batch * timesteps, 1, ...)."""
    return array.reshape(-1, 1, *array.shape[2:])


def separate_events(examples: Examples) -> Examples:
    """Make every weighted event a sequence of its own."""
    weighted = separate(examples.weights)[:, 0] > 0
    return Examples(*(separate(array)[weighted] for array in examples))


def keep_num_updates(config: Config, examples: Examples) -> Config:
    """Enlarge batches so that lone events take as many updates as sequences do."""
    events_per_sequence = np.count_nonzero(examples.weights) / len(examples.weights)
    batch_size = round(config.training.batch_size * max(1, events_per_sequence))
    return replace(config, training=replace(config.training, batch_size=batch_size))


def use_simple_cell(config: Config, examples: Examples) -> Config:
    """Take the cell that has no gates."""
    del examples
    return replace(config, network=replace(config.network, cell="rnn"))


BASELINES = {
    "memoryless": Baseline(
        0.1, keep_num_updates, separate_events, predict_without_memory
    ),
    # As long as the network: it learns to remember later, where it does at all.
    "simple rnn": Baseline(
        1.0, use_simple_cell, lambda examples: examples, predict_with
    ),
}
