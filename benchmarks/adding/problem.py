"""Sequences of numbers, two of them marked: the answer is the sum of the two.

Knows nothing of networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Who ignores the sequence does best with the mean of a sum of two uniform numbers, 1,
# and is wrong by its variance, 2 * 1/12.
BASELINE_MSE = 1 / 6


def draw_batch(
    rng: np.random.Generator, batch: int, timesteps: int
) -> tuple[Array, Array]:
    """Draw sequences and their answers.

    One number of the first half and one of the second are marked, so at least one has
    to be remembered for a random while, and the first on average for 3/4 of the
    sequence. Numbers are uniform from 0 to 1.

    Args:
        rng: Draws everything.
        batch: How many sequences.
        timesteps: Length of each, 2 or more.

    Returns:
        float32 of shape (batch, timesteps, 2), number and mark (0 or 1), and float32
        of shape (batch, 1), the sum of the marked numbers, 0 to 2.

    Reference: Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation
    9(8), 1997, section 5.4, doi 10.1162/neco.1997.9.8.1735; with the ranges of
    Arjovsky, Shah & Bengio, Unitary Evolution Recurrent Neural Networks, ICML 2016,
    https://arxiv.org/abs/1511.06464, section 4.2.
    """
    numbers = rng.random((batch, timesteps), np.float32)
    marks = np.zeros_like(numbers)
    rows = np.arange(batch)
    first = rng.integers(0, timesteps // 2, batch)
    second = rng.integers(timesteps // 2, timesteps, batch)
    marks[rows, first] = marks[rows, second] = 1
    answer = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1), answer
