"""Television programmes with a hidden topic: memory with an exactly known answer.

A programme is about nature or about a home. Now and then a telling picture gives the
topic away (a bear, a sofa); most pictures are neutral; some are a blurry animal that
is a dog, a wolf or a fish. Which of the three is known exactly: without any telling
picture P = (0.80, 0.15, 0.05); once a bear has been on screen P = (0.2, 0.8, 0),
however long ago.

Telling, neutral and blurry pictures are equally frequent in both topics, so the mere
absence of a bear says nothing. Does not know networks: `training.evaluate` compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from training.data.dataset import (
    Array,
    Dataset,
    Examples,
    choose_real,
    fingerprint_arrays,
)
from training.errors import DataError
from training.sections import between, inside, one_of

VOCABULARY = ("bear", "fox", "sofa", "kettle", "squirrel", "tree", "person", "blurry")
LABELS = ("dog", "wolf", "fish")
TELL_NATURE, TELL_HOME, NEUTRAL, BLURRY = (0, 1), (2, 3), (4, 5, 6), 7
MIN_LENGTH, MAX_LENGTH = 5, 150

# Chosen so that the mixture of both is the lesson's (0.80, 0.15, 0.05): 3/16 of nature.
P_NATURE = 0.1875
P_LABEL_NATURE = np.array([0.2, 0.8, 0.0])
P_LABEL_HOME = np.array([61 / 65, 0.0, 4 / 65])  # (0.938462, 0, 0.061538)
P_LABEL_PRIOR = P_NATURE * P_LABEL_NATURE + (1 - P_NATURE) * P_LABEL_HOME

# Epochs count from 0 beside the seed; held-out programmes must be none of theirs.
HELD_OUT_STREAM = 2**32 - 1


@dataclass(frozen=True)
class NatureOptions:
    """The `[data]` keys of source `nature`."""

    source: Annotated[str, one_of("nature")]
    programmes: Annotated[int, between(1, 1_000_000)]
    held_out: Annotated[int, between(1, 100_000)]
    telling: Annotated[float, inside(0, 0.5)]
    blurry: Annotated[float, inside(0, 0.5)]


class Programmes(NamedTuple):
    """Generated programmes, padded at their ends to `MAX_LENGTH` pictures.

    Args:
        events: int32 of shape (batch, timesteps), indices into `VOCABULARY`.
        lengths: int of shape (batch,), pictures per programme.
        is_nature: bool of shape (batch,), the hidden topic.
        labels: int32 of shape (batch, timesteps), what a blurry picture there would
            be; drawn, and never shown as an event.
    """

    events: Array
    lengths: Array
    is_nature: Array
    labels: Array

    @property
    def is_shown(self) -> Array:
        """Bool of shape (batch, timesteps): false in padding."""
        shown: Array = np.arange(self.events.shape[1]) < self.lengths[:, None]
        return shown

    @property
    def is_blurry(self) -> Array:
        """Bool of shape (batch, timesteps): a blurry picture that was shown."""
        blurry: Array = (self.events == BLURRY) & self.is_shown
        return blurry


def load_nature(options: NatureOptions, seed: int) -> Dataset:
    """Generate held-out programmes from a seed; every epoch draws other programmes.

    Never the same programme twice: a network that sees few of them again and again
    learns which blurry pictures happened to be wolves.

    Raises:
        DataError: Nothing held out could be measured.
    """
    rng = np.random.default_rng((seed, HELD_OUT_STREAM))
    held_out = generate_programmes(options, options.held_out, rng)
    if not held_out.is_blurry.any():
        raise DataError(
            f"data.held_out is {options.held_out}, and no picture of those programmes "
            "is blurry, so that nothing can be measured. Raise data.held_out, or "
            "data.blurry."
        )
    return Dataset(
        inputs={"kind": "event", "vocabulary": list(VOCABULARY)},
        outputs={"kind": "label", "name": "probabilities", "labels": list(LABELS)},
        draw_epoch=lambda rng: label_examples(
            generate_programmes(options, options.programmes, rng)
        ),
        held_out=held_out,
        real=pick_real(held_out),
        facts={
            "source": "nature",
            "fingerprint": fingerprint_arrays(*held_out),
            # Expected, since every epoch draws its own.
            "rows": options.programmes * (MIN_LENGTH + MAX_LENGTH) // 2,
            "sequences_per_epoch": options.programmes,
            "held_out_rows": int(held_out.lengths.sum()),
            "held_out_sequences": options.held_out,
        },
        baselines=("memoryless", "simple rnn"),
    )


def pick_real(programmes: Programmes) -> Array:
    """Pick the first programmes that are long enough, or the longest of all short."""
    chosen, length = choose_real(programmes.lengths)
    real: Array = programmes.events[chosen, :length]
    return real


def generate_programmes(
    options: NatureOptions, num_programmes: int, rng: np.random.Generator
) -> Programmes:
    """Draw programmes: topic, length, pictures, and what blurry ones would be.

    Args:
        options: Shares of telling and blurry pictures; the rest are neutral.
        num_programmes: How many.
        rng: Decides everything.

    Returns:
        Programmes of 5 to 150 pictures, uniformly.
    """
    shape = (num_programmes, MAX_LENGTH)
    lengths = rng.integers(MIN_LENGTH, MAX_LENGTH + 1, num_programmes)
    is_nature = rng.random(num_programmes) < P_NATURE
    pictures = (pick(rng, names, shape) for names in (TELL_NATURE, TELL_HOME))
    kind = rng.random(shape, np.float32)
    events = np.where(kind < options.blurry, BLURRY, pick(rng, NEUTRAL, shape))
    telling = np.where(is_nature[:, None], *pictures)
    events = np.where(kind >= 1 - options.telling, telling, events)
    labels = draw_labels(is_nature, rng.random(shape, np.float32))
    return Programmes(events.astype(np.int32), lengths, is_nature, labels)


def pick(
    rng: np.random.Generator, events: tuple[int, ...], shape: tuple[int, int]
) -> Array:
    """Draw events, equally likely; several times faster than `rng.choice`."""
    drawn: Array = np.array(events)[rng.integers(0, len(events), shape, np.int8)]
    return drawn


def draw_labels(is_nature: Array, uniform: Array) -> Array:
    """Draw the label of every position from its topic, by inverting the cumulative."""
    per_topic = np.stack([P_LABEL_HOME, P_LABEL_NATURE])
    cumulative = np.cumsum(per_topic, axis=1)[is_nature.astype(int)]
    # The last bound is 1 but for rounding, and every uniform number is below 1.
    labels: Array = (uniform[..., None] >= cumulative[:, None, :-1]).sum(axis=-1)
    return labels.astype(np.int32)  # (batch, timesteps)


def label_examples(programmes: Programmes) -> Examples:
    """Give every position the label of the next blurry picture at or after it.

    The label depends on the topic alone, so the answer to learn is the same at every
    picture; asking everywhere gives five times the signal of asking at blurry ones.
    """
    is_blurry = programmes.is_blurry
    targets = np.zeros_like(programmes.labels)
    weights = np.zeros(is_blurry.shape, np.float32)
    label = np.zeros(len(is_blurry), np.int32)
    follows = np.zeros(len(is_blurry), bool)
    for step in reversed(range(is_blurry.shape[1])):
        label = np.where(is_blurry[:, step], programmes.labels[:, step], label)
        follows |= is_blurry[:, step]
        targets[:, step], weights[:, step] = label, follows
    weights *= programmes.is_shown
    return Examples(programmes.events, targets, weights)


def exact_posterior(events: Array) -> Array:
    """Work out P(dog, wolf, fish) after every picture, by Bayes' rule.

    A telling picture is possible under one topic only, so the first one settles it;
    every other picture is equally likely under both and changes nothing.

    Args:
        events: int32 of shape (batch, timesteps).

    Returns:
        float64 of shape (batch, timesteps, 3).
    """
    nature = np.logical_or.accumulate(np.isin(events, TELL_NATURE), axis=1)
    home = np.logical_or.accumulate(np.isin(events, TELL_HOME), axis=1)
    settled = np.where(nature[..., None], P_LABEL_NATURE, P_LABEL_HOME)
    return np.where((nature | home)[..., None], settled, P_LABEL_PRIOR)
