"""Trains one network on the adding problem, every batch new.

Since no sequence is seen twice, the loss of a batch before its update is the error on
unseen sequences: there is no separate test set. Does not know which runs there are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np

from benchmarks.adding.problem import draw_batch
from models.networks import CELLS

# Equal memory, and so nearly equal weights: an LSTM of 32 units carries h and c, 64
# numbers, as a simple RNN of 64 units does.
UNITS = {"rnn": 64, "lstm": 32}
BATCH_SIZE = 64
NUM_UPDATES = 3000
# Updates averaged into one point of a curve.
POINT_UPDATES = 50
# The field's usual bound; without it simple RNNs diverge at any useful rate.
MAX_GRADIENT_NORM = 1.0


class Run(NamedTuple):
    """Parameters that distinguish one training from another."""

    cell: str
    timesteps: int
    learning_rate: float
    seed: int


def train(run: Run, num_updates: int = NUM_UPDATES) -> list[float]:
    """Train one network; the same run gives the same curve on the same machine.

    Returns:
        Mean squared error of every `POINT_UPDATES` updates.
    """
    # Not enable_op_determinism: Keras then refuses to compile with XLA. Its programs
    # for the CPU add in one order anyway.
    keras.utils.set_random_seed(run.seed)
    network = build(run)
    rng = np.random.default_rng((run.seed, run.timesteps))
    losses = []
    for _ in range(num_updates):
        network.reset_metrics()
        batch = draw_batch(rng, BATCH_SIZE, run.timesteps)
        losses.append(float(network.train_on_batch(*batch)))
    points = np.reshape(losses, (-1, POINT_UPDATES)).mean(axis=1)
    return [float(point) for point in points]


def build(run: Run) -> Any:
    """Build the network of a run, ready to train."""
    keras.backend.clear_session()
    sequence = keras.Input((run.timesteps, 2))
    last = CELLS[run.cell](UNITS[run.cell], return_sequences=False)(sequence)
    network = keras.Model(sequence, keras.layers.Dense(1)(last))
    optimizer = keras.optimizers.Adam(run.learning_rate, clipnorm=MAX_GRADIENT_NORM)
    network.compile(optimizer, "mse", jit_compile=True)
    return network
