"""Expect the label of the nearest prefix in training: 1-NN on simple statistics.

A prefix is the shares of each event in it, its last event and the logarithm of its
length. Large training parts are thinned out evenly. Knows no networks.
"""

from __future__ import annotations

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.fields import take_events
from training.evaluate.metric import Predict

# Prefixes that are compared with, and events with a share of their own.
MOST_PREFIXES, MOST_EVENTS = 2_000, 64
# Events of training that are looked at.
MOST_ROWS = 200_000
# Of distances at a time.
MOST_CELLS = 4_000_000


def fit_nearest(train: Sequences, num_events: int, num_labels: int) -> Predict:
    """Describe the training part, to find the nearest prefix of it.

    Args:
        train: Its inputs are events, the most frequent first.
        num_events: How many there are.
        num_labels: How many labels.
    """
    train = thin_out(train)
    counted = np.flatnonzero(train.weights > 0)
    chosen = counted[:: -(-len(counted) // MOST_PREFIXES)]
    known = describe(take_events(train.inputs), train.offsets, num_events)[chosen]
    labels = train.targets[chosen].astype(np.int64)
    squares = np.square(known).sum(axis=1)
    size = max(1, MOST_CELLS // len(known))

    def predict(sequences: Array) -> Array:
        sequences = take_events(sequences)
        rows, timesteps = sequences.shape
        offsets = np.arange(rows + 1) * timesteps
        asked = describe(sequences.reshape(-1), offsets, num_events)
        nearest = [
            np.argmin(squares - 2 * asked[start : start + size] @ known.T, axis=1)
            for start in range(0, len(asked), size)
        ]
        found = labels[np.concatenate(nearest)].reshape(rows, timesteps)
        shares: Array = np.eye(num_labels)[found]
        return shares

    return predict


def thin_out(train: Sequences) -> Sequences:
    """Keep every k-th sequence, and of these the first events, of a large part."""
    step = -(-len(train.inputs) // MOST_ROWS)
    if step == 1:
        return train
    lengths = train.lengths[::step]
    starts = train.offsets[:-1][::step]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    rows = rows[:MOST_ROWS]
    offsets = np.unique(np.minimum(offsets, len(rows)))
    inputs, targets, weights = (array[rows] for array in train[:3])
    return Sequences(inputs, targets, weights, offsets)


def describe(events: Array, offsets: Array, num_events: int) -> Array:
    """Describe every prefix: float32 of shape (rows, statistics)."""
    kinds = min(num_events, MOST_EVENTS)
    kept = np.minimum(events.astype(np.int64), kinds - 1)
    is_event = np.eye(kinds, dtype=np.float32)[kept]
    lengths = np.diff(offsets)
    begins = np.repeat(offsets[:-1], lengths)
    running = np.cumsum(is_event, axis=0, dtype=np.float32)
    before = running[begins] - is_event[begins]
    places = np.arange(len(events)) - begins + 1
    shares = (running - before) / places[:, None]
    length = np.log(places)[:, None]
    described: Array = np.concatenate([shares, is_event, length], axis=1)
    return described.astype(np.float32)
