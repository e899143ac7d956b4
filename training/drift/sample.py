"""A sample of events by field, and the surprise of the network at each.

The same of a version's held-out part, when it is published, and of captured events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from models.schemas import find_columns
from training.data.dataset import Array, Sequences
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.evaluate.guesses import guess
from training.evaluate.metric import Predict
from training.evaluate.tasks import select


class SampledSeries(NamedTuple):
    """Values and the session of each.

    Args:
        values: Of shape (events,).
        sessions: Number of the session of each.
    """

    values: Array
    sessions: Array

    @property
    def weights(self) -> Array:
        """Weights by which each session counts once, however long it is.

        One session of thousands of events would otherwise be most of a small sample.
        """
        sizes = np.maximum(np.bincount(self.sessions), 1)
        weights: Array = 1.0 / sizes[self.sessions]
        return weights


class Sample(NamedTuple):
    """Events of some sessions.

    Args:
        num_sessions: How many sessions there are.
        num_events: How many events they have.
        names: By field, places in its vocabulary.
        numbers: By field, the numbers.
        surprise: -ln of the probability of what came; None where it is not known.
        gap: The probability of what was expected, minus 1 where it came; None where
            that is not known.
    """

    num_sessions: int
    num_events: int
    names: Mapping[str, SampledSeries]
    numbers: Mapping[str, SampledSeries]
    surprise: SampledSeries | None = None
    gap: SampledSeries | None = None


def take_sample(inputs: Mapping[str, Any], held_out: Any, predict: Predict) -> Sample:
    """Take the sample of a test part.

    Args:
        inputs: Input schema.
        held_out: What measuring needs; of several tasks the first is asked.
        predict: The network.
    """
    if isinstance(held_out, HeldOutHeads):
        name, held_out = next(iter(held_out.by_name.items()))
        predict = select(predict, name)
    names, numbers = split_fields(inputs, held_out.test)
    lengths = held_out.test.lengths
    sample = Sample(len(lengths), int(lengths.sum()), names, numbers)
    if not isinstance(held_out, HeldOutEvents | HeldOutLabels):
        return sample
    guesses = guess(held_out.test, predict, len(held_out.labels))
    if isinstance(held_out, HeldOutEvents) and held_out.end is not None:
        # Captured sessions may not be over, so that their ends are not known.
        guesses = guesses.choose(guesses.targets != held_out.end)
    if not len(guesses.targets):
        return sample
    sessions = guesses.sequence
    gap = guesses.confidence - guesses.is_right(None)
    surprise = SampledSeries(guesses.surprise, sessions)
    return sample._replace(surprise=surprise, gap=SampledSeries(gap, sessions))


def split_fields(
    inputs: Mapping[str, Any], sequences: Sequences
) -> tuple[dict[str, SampledSeries], dict[str, SampledSeries]]:
    """Split events into fields of names and of numbers."""
    sessions = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
    names, numbers = {}, {}
    for field, column in find_columns(inputs):
        values = sequences.inputs if column is None else sequences.inputs[:, column]
        if "vocabulary" in field:
            names[field["name"]] = SampledSeries(values.astype(np.int64), sessions)
        elif field["type"] == "number":
            known = ~np.isnan(values)
            numbers[field["name"]] = SampledSeries(
                values[known].astype(np.float64), sessions[known]
            )
    return names, numbers
