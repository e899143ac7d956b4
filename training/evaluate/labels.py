"""Measure labels: how often they are right, and how sure a network is of them.

Beside the majority, a back-off n-gram of labels after the last events, the nearest
prefix of the training part by simple statistics (`training.evaluate.nearest`), and
gradient boosting.
"""

from __future__ import annotations

from collections.abc import Mapping

from training.data.heads import HeldOutLabels
from training.data.label_weights import LAST
from training.evaluate.boosting.model import boost_labels
from training.evaluate.events import (
    BRIER,
    Figure,
    calibrate,
    expect_shares,
    measure_mean,
    measure_positions,
    measure_whole,
)
from training.evaluate.guesses import Guesses, guess, measure_f1
from training.evaluate.metric import AS_TRAINED, NETWORK, Metric, Predict
from training.evaluate.nearest import fit_nearest
from training.evaluate.ngram import choose_ngram

NAME = "right labels"
RIGHT = Figure(NAME, "share", "higher", lambda one: one.is_right(None), NAME)
AT_PLACE = RIGHT._replace(verdict="")
AT_END = f"{NAME} after the last event of a case"


def evaluate_labels(
    held_out: HeldOutLabels, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure a network on the test part.

    Where only the last event of a case was learnt, the answers there decide.
    All baselines are fitted here but one: the network before it was corrected.
    """
    size = len(held_out.labels)
    ngram = choose_ngram(held_out.train, held_out.validation, size, held_out.num_events)
    predicts: dict[str, Predict] = {
        NETWORK: predict,
        "majority": expect_shares(held_out),
        f"{ngram.order}-gram": ngram.predict,
        "nearest prefix": fit_nearest(
            held_out.train, held_out.num_events, size, held_out.numbers
        ),
        **boost_labels(held_out),
    }
    guesses = {name: guess(held_out.test, one, size) for name, one in predicts.items()}
    trained = baselines.get(AS_TRAINED)
    before = None if trained is None else guess(held_out.test, trained, size)
    return [
        measure_mean(AT_PLACE if decides_at_end(held_out) else RIGHT, guesses),
        *measure_at_end(held_out, guesses),
        measure_whole("macro F1", "mean over labels", "higher", guesses, measure_f1),
        measure_mean(BRIER, guesses),
        calibrate(guesses, None, before),
        *measure_positions(guesses, AT_PLACE),
    ]


def measure_at_end(
    held_out: HeldOutLabels, guesses: Mapping[str, Guesses]
) -> list[Metric]:
    """Measure the label of a case when all its events are known."""
    if not held_out.of_case:
        return []
    chosen = {name: choose_last(held_out, one) for name, one in guesses.items()}
    verdict = AT_END if decides_at_end(held_out) else ""
    return [measure_mean(RIGHT._replace(name=AT_END, verdict=verdict), chosen)]


def decides_at_end(held_out: HeldOutLabels) -> bool:
    """Return whether the answers after the last events decide."""
    return held_out.label_weight == LAST


def choose_last(held_out: HeldOutLabels, guesses: Guesses) -> Guesses:
    """Choose the answers after the last event of each case of the test part."""
    lengths = held_out.test.lengths
    return guesses.choose(guesses.place == lengths[guesses.sequence])
