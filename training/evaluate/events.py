"""Measure what a network expects next: how often it is right, and how sure it is.

Beside the most frequent event, and the event that most often follows the last one, both
counted on the training part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from training.data.dataset import Array, Examples, Sequences
from training.data.events import HeldOutEvents
from training.evaluate.metric import Metric, Predict

# About this many timesteps at a time.
TIMESTEPS = 65_536
SMALLEST_PROBABILITY = 1.2e-38


class Guesses(NamedTuple):
    """What was expected at every event that counts.

    Args:
        targets: What came.
        best: What was most probable.
        surprise: -ln of the probability of what came.
    """

    targets: Array
    best: Array
    surprise: Array


def evaluate_events(
    held_out: HeldOutEvents, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure a network on the test part."""
    del baselines  # counted here, not trained
    guesses = {
        "network": guess(held_out.test, predict),
        "most frequent": guess(held_out.test, count_events(held_out)),
        "after the last": guess(held_out.test, count_pairs(held_out)),
    }
    return [
        measure("surprise per event", "nats", guesses, measure_surprise, "lower"),
        measure(
            "right next events",
            "share",
            guesses,
            lambda one: measure_accuracy(held_out, one),
            "higher",
        ),
        *measure_without_end(held_out, guesses),
    ]


def measure_without_end(
    held_out: HeldOutEvents, guesses: Mapping[str, Guesses]
) -> list[Metric]:
    """Measure the same where something follows, if there are ends at all."""
    if held_out.end is None:
        return []
    others = {
        name: Guesses(*(array[one.targets != held_out.end] for array in one))
        for name, one in guesses.items()
    }
    if not len(others["network"].targets):
        return []
    name = "right next events, ends left out"
    return [
        measure(
            name,
            "share",
            others,
            lambda one: measure_accuracy(held_out, one),
            "higher",
        )
    ]


def measure(
    name: str,
    unit: str,
    guesses: Mapping[str, Guesses],
    figure: Callable[[Guesses], float],
    better: Literal["lower", "higher"],
) -> Metric:
    """Make a metric of a figure of the network and of all others."""
    figures = {other: figure(one) for other, one in guesses.items()}
    return Metric(name, figures.pop("network"), unit, figures, better=better)


def measure_surprise(guesses: Guesses) -> float:
    """Average -ln p of what came."""
    return float(guesses.surprise.mean())


def measure_accuracy(held_out: HeldOutEvents, guesses: Guesses) -> float:
    """Return the share that was most probable; an unknown event never is right."""
    right = guesses.best == guesses.targets
    if held_out.unknown is not None:
        right &= guesses.targets != held_out.unknown
    return float(right.mean())


def guess(sequences: Sequences, predict: Predict) -> Guesses:
    """Ask a network at every event, long sequences first."""
    lengths = sequences.lengths
    order = np.argsort(-lengths, kind="stable")
    parts: list[Guesses] = []
    start = 0
    while start < len(order):
        stop = start + max(1, TIMESTEPS // int(lengths[order[start]]))
        parts.append(guess_batch(sequences.take(order[start:stop]), predict))
        start = stop
    return Guesses(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def guess_batch(examples: Examples, predict: Predict) -> Guesses:
    """Ask a network at every event of a batch."""
    counted = examples.weights > 0
    probabilities = predict(examples.sequences)[counted]  # (events, labels)
    targets = examples.targets[counted]
    given = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    return Guesses(
        targets,
        probabilities.argmax(axis=-1),
        -np.log(np.maximum(given, SMALLEST_PROBABILITY)),
    )


def count_events(held_out: HeldOutEvents) -> Predict:
    """Expect every event as often as the training part has it."""
    shares = normalise(count_targets(held_out).sum(axis=0))
    return lambda sequences: np.broadcast_to(
        shares, (*sequences.shape, len(held_out.labels))
    )


def count_pairs(held_out: HeldOutEvents) -> Predict:
    """Expect every event as often as the training part has it after the last one."""
    shares = normalise(count_targets(held_out))
    return lambda sequences: shares[sequences]


def count_targets(held_out: HeldOutEvents) -> Array:
    """Count what follows what in the training part: (events, labels)."""
    train, size = held_out.train, len(held_out.labels)
    counted = train.weights > 0
    pairs = train.inputs[counted].astype(np.int64) * size + train.targets[counted]
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def normalise(counts: Array) -> Array:
    """Make probabilities of counts, none of them 0."""
    smoothed = counts + 1.0 / counts.shape[-1]
    shares: Array = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return shares
