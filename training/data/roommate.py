"""A roommate's dinners: memory that must count, and never drift.

He cooks apple pie, burger and chicken in that order. On a sunny day he goes out and
serves the same as yesterday; on a rainy day he stays in and cooks the next. Before the
first day there was apple pie. The weather is the event, the dinner the label, so every
answer is certain once all the weather so far is known, and unknown without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from training.data.dataset import Array, Dataset, Examples, fingerprint_arrays
from training.sections import between, one_of

VOCABULARY = ("sunny", "rainy")
LABELS = ("apple pie", "burger", "chicken")
RAINY = 1
# What is asked of the network, and the kind of output that is.
LABELLED = {"every day": "label", "last day": "sequence_label"}

TRAIN_STREAM, HELD_OUT_STREAM = 0, 1


class HeldOutWeather(NamedTuple):
    """Held-out weather, for the evaluation.

    Args:
        examples: Held out; never trained on.
        shares: How often each dinner is asked for in the training part.
    """

    examples: Examples
    shares: Array


@dataclass(frozen=True)
class RoommateOptions:
    """The `[data]` keys of source `roommate`."""

    source: Annotated[str, one_of("roommate")]
    sequences: Annotated[int, between(1, 1_000_000)]
    days: Annotated[int, between(1, 10_000)]
    held_out: Annotated[int, between(1, 100_000)]
    held_out_days: Annotated[int, between(1, 10_000)]
    label: Annotated[str, one_of(*LABELLED)] = "every day"


def load_roommate(options: RoommateOptions, seed: int) -> Dataset:
    """Generate training and held-out weather from a seed."""
    train = generate_weather(options.sequences, options.days, (seed, TRAIN_STREAM))
    held_out = generate_weather(
        options.held_out, options.held_out_days, (seed, HELD_OUT_STREAM)
    )
    examples = label_weather(train, options.label)
    return Dataset(
        inputs={"kind": "event", "vocabulary": list(VOCABULARY)},
        outputs={
            "kind": LABELLED[options.label],
            "name": "probabilities",
            "labels": list(LABELS),
        },
        draw_epoch=lambda rng: examples,
        held_out=HeldOutWeather(
            label_weather(held_out, options.label), count_dinners(examples)
        ),
        real=held_out[:8],
        facts={
            "source": "roommate",
            "fingerprint": fingerprint_arrays(train, held_out),
            "rows": train.size,
            "sequences": options.sequences,
            "held_out_sequences": options.held_out,
        },
        baselines=("memoryless",),
    )


def generate_weather(num_sequences: int, days: int, seed: tuple[int, int]) -> Array:
    """Draw sunny and rainy days, equally likely.

    Returns:
        int32 of shape (num_sequences, days), indices into `VOCABULARY`.
    """
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (num_sequences, days), dtype=np.int32)


def label_weather(weather: Array, label: str) -> Examples:
    """Ask for the dinner of every day, or of each sequence's last day alone."""
    weights = np.ones(weather.shape, np.float32)
    if label == "last day":
        weights[:, :-1] = 0
    return Examples(weather, cook(weather), weights)


def count_dinners(examples: Examples) -> Array:
    """Return the share of each dinner that is asked for: (labels,)."""
    asked = examples.targets[examples.weights > 0]
    shares: Array = np.bincount(asked, minlength=len(LABELS)) / asked.size
    return shares


def cook(weather: Array) -> Array:
    """Compute each day's dinner: one dish on for each rainy day, in a circle.

    Args:
        weather: int32 of shape (batch, timesteps).

    Returns:
        int32 of shape (batch, timesteps), indices into `LABELS`.
    """
    rainy_days = np.cumsum(weather == RAINY, axis=1)
    return (rainy_days % len(LABELS)).astype(np.int32)
