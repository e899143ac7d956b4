"""Drawn epochs of training, and what they are trained as."""

from __future__ import annotations

import numpy as np

# With graphs the same is tested of whole commands and of windows.
from training.config import TrainingConfig
from training.data.dataset import Examples, Sequences

INPUTS = {"kind": "event", "vocabulary": ["a", "b"]}
OUTPUTS = {"kind": "label", "name": "probabilities", "labels": ["even", "odd"]}
TRAINING = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.01)


def draw_epoch(rng):
    """Draw sequences of several lengths, with the parity of b's after each event."""
    sequences = rng.integers(0, 2, (20, 9), dtype=np.int32)
    lengths = rng.integers(1, 10, 20)
    weights = (np.arange(9) < lengths[:, None]).astype(np.float32)
    return Examples(sequences, np.cumsum(sequences, axis=1) % 2, weights)


def draw_sequences(rng):
    """The same examples as `draw_epoch`, without padding."""
    examples = draw_epoch(rng)
    lengths = examples.lengths
    flat = [array[examples.weights > 0] for array in examples]
    return Sequences(*flat, np.concatenate([[0], np.cumsum(lengths)]))
