"""Predicted labels at every event that counts, and figures that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array, Examples, Sequences
from training.evaluate.metric import Predict

# About this many timesteps at a time, fewer where there are many labels.
TIMESTEPS, CELLS = 65_536, 8_000_000
MIN_PROBABILITY = 1.2e-38
# Events of a case depend on each other: the error of a mean is that of such blocks.
BLOCK = 100
# A block is its sequence above these bits, and below them the place in it.
SEQUENCE_BITS = 32
# Standard errors that a normal variable is above in 5% of cases.
ONE_SIDED = 1.645
NUM_BINS = 15


class Guesses(NamedTuple):
    """Predictions at every event that counts, each array of shape (events,).

    Args:
        targets: Position of the label that came.
        rank: Number of labels that were more probable than the one that came.
        confidence: Probability of the most probable label, 0 to 1.
        surprise: -ln of the probability of the label that came, in nats.
        block: Number of the event's block: 100 events of one sequence.
        best: Position of the most probable label.
        brier: Sum over labels of (probability - 1 where it came, else 0) squared,
            0 to 2.
        place: Number of known events of the case, from 1.
    """

    targets: Array
    rank: Array
    confidence: Array
    surprise: Array
    block: Array
    best: Array
    brier: Array
    place: Array

    @property
    def sequence(self) -> Array:
        """Number of the sequence of each event, of shape (events,)."""
        sequence: Array = self.block >> SEQUENCE_BITS
        return sequence

    def choose(self, rows: Array) -> Guesses:
        """Choose some of the events."""
        return Guesses(*(array[rows] for array in self))

    def is_right(self, unknown: int | None, top: int = 1) -> Array:
        """Mark what was among the most probable; an unknown event never is right."""
        right: Array = self.rank < top
        return right if unknown is None else right & (self.targets != unknown)


def guess(
    sequences: Sequences | Examples, predict: Predict, num_labels: int
) -> Guesses:
    """Ask at every event."""
    parts = [
        guess_batch(examples, rows, predict)
        for examples, rows in cut_calls(sequences, num_labels)
    ]
    return Guesses(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def cut_calls(
    sequences: Sequences | Examples, num_outputs: int
) -> Iterator[tuple[Examples, Array]]:
    """Yield sequences to ask at once, and which they are; long ones first."""
    lengths = sequences.lengths
    order = np.argsort(-lengths, kind="stable")
    timesteps = max(1, min(TIMESTEPS, CELLS // num_outputs))
    start = 0
    while start < len(order):
        stop = start + max(1, timesteps // max(1, int(lengths[order[start]])))
        rows = order[start:stop]
        yield sequences.take(rows), rows
        start = stop


def guess_batch(examples: Examples, rows: Array, predict: Predict) -> Guesses:
    """Ask at every event of a batch."""
    counted = examples.weights > 0
    probabilities = predict(examples.sequences)[counted]  # (events, labels)
    targets = examples.targets[counted]
    if len(targets) and targets.max() >= probabilities.shape[1]:
        # A label that training does not have: nothing expects it.
        probabilities = np.pad(probabilities, [(0, 0), (0, 1)])
    given = probabilities[np.arange(len(targets)), targets]
    # Of equally probable labels the first is said.
    is_before = np.arange(probabilities.shape[1]) < targets[:, None]
    ahead = probabilities > given[:, None]
    ahead |= (probabilities == given[:, None]) & is_before
    row, place = np.nonzero(counted)
    return Guesses(
        targets,
        ahead.sum(axis=1),
        probabilities.max(axis=1).astype(np.float64),
        -np.log(np.maximum(given.astype(np.float64), MIN_PROBABILITY)),
        rows[row] * (1 << SEQUENCE_BITS) + place // BLOCK,
        probabilities.argmax(axis=1),
        np.square(probabilities, dtype=np.float64).sum(axis=1) - 2.0 * given + 1.0,
        place + 1,
    )


def find_shares(train: Sequences, num_labels: int) -> Array:
    """Return how often training has each label: float64 of shape (labels,), none 0.

    One event more is counted, spread evenly over all labels, so that the surprise of a
    label that training lacks is finite.
    """
    targets = train.targets[train.weights > 0].astype(np.int64)
    counts = np.bincount(targets, minlength=num_labels)
    shares: Array = (counts + 1.0 / num_labels) / (counts.sum() + 1.0)
    return shares


def find_margin(differences: Array, block: Array) -> float:
    """Return what chance alone adds to a mean difference in 1 of 20 cases, or less.

    0 where it cannot be known.

    Events of one block depend on each other, so that blocks are what is drawn.
    """
    _, place = np.unique(block, return_inverse=True)
    sizes = np.bincount(place)
    if len(sizes) < 2:
        return 0.0
    apart = np.bincount(place, differences) - differences.mean() * sizes
    spread = np.sqrt((apart**2).sum() * len(sizes) / (len(sizes) - 1))
    return float(ONE_SIDED * spread / len(differences))


def measure_calibration(confidence: Array, right: Array) -> float:
    """Return the expected calibration error over bins of equal width.

    That is the mean over events of |share that is right - mean confidence| of the bin.

    Reference: Guo, Pleiss, Sun & Weinberger, On Calibration of Modern Neural Networks,
    ICML 2017, https://arxiv.org/abs/1706.04599.
    """
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    apart = np.bincount(bins, right - confidence, minlength=NUM_BINS)
    return float(np.abs(apart).sum() / len(confidence))


def measure_f1(guesses: Guesses) -> float:
    """Average F1 over the labels that came or were expected, each as heavy.

    F1 of a label is 2 * right / (came + expected).
    """
    size = 1 + int(max(guesses.targets.max(), guesses.best.max()))
    came = np.bincount(guesses.targets, minlength=size)
    expected = np.bincount(guesses.best, minlength=size)
    is_right = guesses.targets == guesses.best
    right = np.bincount(guesses.targets[is_right], minlength=size)
    known = came + expected > 0
    return float((2 * right[known] / (came + expected)[known]).mean())
