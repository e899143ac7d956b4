"""Expect the label of the nearest prefix in training: 1-NN on simple statistics.

A prefix is the shares of each event in it, its last event and the logarithm of its
length; of each number of its events the mean, the standard deviation and the last one,
in standard deviations of the training part. Large training parts are thinned out
evenly. Knows no networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.fields import take_events
from training.evaluate.metric import Predict

# Prefixes that are compared with, and events with a share of their own.
MAX_PREFIXES, MAX_EVENTS = 2_000, 64
# Events of training that are looked at.
MAX_ROWS = 200_000
# Of distances at a time.
MAX_CELLS = 4_000_000


def fit_nearest(
    train: Sequences, num_events: int, num_labels: int, numbers: Sequence[int] = ()
) -> Predict:
    """Describe the training part, to find the nearest prefix of it.

    Args:
        train: Its inputs are events, the most frequent first.
        num_events: How many there are.
        num_labels: How many labels.
        numbers: Columns of records that are numbers.
    """
    train = thin_out(train)
    counted = np.flatnonzero(train.weights > 0)
    chosen = counted[:: -(-len(counted) // MAX_PREFIXES)]
    scale = fit_scale(train.inputs, numbers)

    def describe_all(inputs: Array, offsets: Array) -> Array:
        events = describe(take_events(inputs), offsets, num_events)
        return np.concatenate(
            [events, describe_numbers(scale.take(inputs), offsets)], axis=1
        )

    known = describe_all(train.inputs, train.offsets)[chosen]
    labels = train.targets[chosen].astype(np.int64)
    squares = np.square(known).sum(axis=1)
    size = max(1, MAX_CELLS // len(known))

    def predict(sequences: Array) -> Array:
        rows, timesteps = sequences.shape[:2]
        offsets = np.arange(rows + 1) * timesteps
        inputs = sequences.reshape(rows * timesteps, *sequences.shape[2:])
        asked = describe_all(inputs, offsets)
        nearest = [
            np.argmin(squares - 2 * asked[start : start + size] @ known.T, axis=1)
            for start in range(0, len(asked), size)
        ]
        found = labels[np.concatenate(nearest)].reshape(rows, timesteps)
        shares: Array = np.eye(num_labels)[found]
        return shares

    return predict


class Scale(NamedTuple):
    """Columns of numbers, with means and standard deviations of the training part."""

    columns: list[int]
    mean: Array
    deviation: Array

    def take(self, inputs: Array) -> Array:
        """Take the numbers, scaled; the mean where one is missing."""
        if not self.columns:
            return np.zeros((len(inputs), 0))
        scaled = (inputs[:, self.columns].astype(float) - self.mean) / self.deviation
        return np.nan_to_num(scaled, posinf=0, neginf=0)


def fit_scale(inputs: Array, numbers: Sequence[int]) -> Scale:
    """Take means and deviations of columns, of those numbers that are known."""
    columns = list(numbers)
    if not columns:
        return Scale(columns, np.zeros(0), np.ones(0))
    known = np.ma.masked_invalid(inputs[:, columns].astype(float))
    deviation = known.std(axis=0).filled(1.0)
    deviation[deviation == 0] = 1.0
    return Scale(columns, known.mean(axis=0).filled(0.0), deviation)


def describe_numbers(numbers: Array, offsets: Array) -> Array:
    """Describe every prefix by mean, deviation and last value of each column."""
    begins, places = find_prefixes(offsets)
    means = sum_prefixes(numbers, begins) / places[:, None]
    squares = sum_prefixes(numbers**2, begins) / places[:, None]
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    described: Array = np.concatenate([means, deviations, numbers], axis=1)
    return described.astype(np.float32)


def find_prefixes(offsets: Array) -> tuple[Array, Array]:
    """Return for every row the first one of its sequence, and its place from 1."""
    lengths = np.diff(offsets)
    begins = np.repeat(offsets[:-1], lengths)
    return begins, np.arange(len(begins)) - begins + 1


def sum_prefixes(columns: Array, begins: Array) -> Array:
    """Sum columns from the first row of each sequence to every row."""
    running = np.cumsum(columns, axis=0)
    sums: Array = running - (running[begins] - columns[begins])
    return sums


def thin_out(train: Sequences) -> Sequences:
    """Keep every k-th sequence, and of these the first events, of a large part."""
    step = -(-len(train.inputs) // MAX_ROWS)
    if step == 1:
        return train
    lengths = train.lengths[::step]
    starts = train.offsets[:-1][::step]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    rows = rows[:MAX_ROWS]
    offsets = np.unique(np.minimum(offsets, len(rows)))
    inputs, targets, weights = (array[rows] for array in train[:3])
    return Sequences(inputs, targets, weights, offsets)


def describe(events: Array, offsets: Array, num_events: int) -> Array:
    """Describe every prefix: float32 of shape (rows, statistics)."""
    kinds = min(num_events, MAX_EVENTS)
    kept = np.minimum(events.astype(np.int64), kinds - 1)
    is_event = np.eye(kinds, dtype=np.float32)[kept]
    begins, places = find_prefixes(offsets)
    shares = sum_prefixes(is_event, begins) / places[:, None]
    length = np.log(places)[:, None]
    described: Array = np.concatenate([shares, is_event, length], axis=1)
    return described.astype(np.float32)
