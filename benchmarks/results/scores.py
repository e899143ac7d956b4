"""From a measured training to the figures that a protocol asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.results.problem import NETWORK, Figures
from training.data.dataset import Array
from training.evaluate.boosting.model import boost_labels
from training.evaluate.events import expect_shares
from training.evaluate.guesses import Guesses, guess
from training.evaluate.ngram import choose_ngram
from training.html_report.report import Measured

# Sum of the absolute values of a part.
LEVEL = "level"
ORDER = re.compile(r"\d+-gram")


def take(**names: str) -> Callable[[Measured], Figures]:
    """Make a score of metrics of the pipeline: name on the page = name of the metric.

    In the names on the page a `_` stands for a space.
    """

    def score(measured: Measured) -> Figures:
        by_name = {metric.name: metric for metric in measured.metrics}
        return {
            shown.replace("_", " "): {
                NETWORK: by_name[name].value,
                **name_counts(by_name[name].baselines),
            }
            for shown, name in names.items()
        }

    return score


def score_tax(measured: Measured) -> Figures:
    """Score as Tax et al.: two events known or more, and another one follows.

    The end is a class that may be expected; it is wrong there.
    """
    end = measured.dataset.held_out.end
    return {
        "accuracy": share_right(
            measured, lambda one: (one.place >= 2) & (one.targets != end)
        )
    }


def share_right(
    measured: Measured, choose: Callable[[Guesses], Array]
) -> dict[str, float]:
    """Return the share of right next events among those that are chosen."""
    held_out: Any = measured.dataset.held_out
    size = len(held_out.labels)
    ngram = choose_ngram(held_out.train, held_out.validation, size)
    predicts = {
        NETWORK: measured.predict,
        "most frequent": expect_shares(held_out),
        "n-gram": ngram.predict,
        **boost_labels(held_out),
    }
    shares = {}
    for name, predict in predicts.items():
        one = guess(held_out.test, predict, size)
        shares[name] = float(one.choose(choose(one)).is_right(held_out.unknown).mean())
    return shares


def score_wape(measured: Measured) -> Figures:
    """Score as the pipeline does at the horizon, with how heavy the part is."""
    held_out: Any = measured.dataset.held_out
    name = f"WAPE {held_out.horizon} rows ahead"
    found = take(**{name.replace(" ", "_"): name})(measured)
    level = float(np.abs(held_out.values[held_out.start :]).sum())
    return {**found, LEVEL: {NETWORK: level}}


def combine_wape(parts: Sequence[Figures]) -> Figures:
    """Put parts of one series together: errors of all over values of all."""
    levels = [part[LEVEL][NETWORK] for part in parts]
    (name,) = [figure for figure in parts[0] if figure != LEVEL]
    return {
        name: {
            who: sum(p[name][who] * x for p, x in zip(parts, levels, strict=True))
            / sum(levels)
            for who in parts[0][name]
        }
    }


def name_counts(baselines: Mapping[str, float]) -> dict[str, float]:
    """Name n-grams of every order alike: folds may choose different ones."""
    return {ORDER.sub("n-gram", name): value for name, value in baselines.items()}
