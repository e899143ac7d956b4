"""Batches of an epoch: sequences of like length together, padded one batch at a time.

Does not know what becomes of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from training.data.dataset import Array, Examples, Sequences


def cut_batches(
    examples: Examples | Sequences, batch_size: int, rng: np.random.Generator
) -> Iterator[Examples]:
    """Yield batches in random order, sequences of like length together.

    A batch ends with its longest sequence's last weighted timestep, so short sequences
    cost little; and since the loss is a mean per batch, the first timesteps, of which
    short batches consist, are learnt as well as the later ones.

    Of `Sequences` every event weighs the same instead: a batch's loss is divided by
    what a batch has on average, not by its own size with its padding. Otherwise an
    event of a short case weighs many times one of a long one, and an end too much.
    """
    lengths = examples.lengths
    order = rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    starts = rng.permutation(np.arange(0, len(order), batch_size))
    for start in starts:
        batch = examples.take(order[start : start + batch_size])
        if isinstance(examples, Sequences):
            usual = count_weights(examples.weights) / len(starts)
            # The loss that Keras computes is divided by the number of all weights.
            size = math.prod(batch.weights.shape[:2])
            batch = batch._replace(weights=batch.weights * (size / usual))
        yield batch


def count_weights(weights: Array) -> Any:
    """Sum the weights of sequences: a number, or float32 of shape (heads,)."""
    if weights.ndim == 1:
        return float(weights.sum())
    return np.maximum(weights.sum(axis=0), 1).astype(np.float32)
