"""Verdict on a network: was it worth training? One sentence, the first of every report.

It beats its best baseline where the difference is more than chance explains. Figures
with a say come in order: the first decides, another that only ties is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from training.evaluate.metric import Metric
from training.figures import format_figure

# The cells of `models.networks.CELLS`, as a sentence names them: the configuration
# reads which there are here, where Keras is not imported. A test compares the two.
CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "simple RNN", "peephole": "peephole LSTM"}
# Of the values of these tasks one sees at once what they are: what was counted.
COUNTED = re.compile(r"\d+-gram|most frequent|majority")


class Verdict(NamedTuple):
    """Verdict on a network.

    Args:
        sentence: For people.
        is_worth_it: Whether it beats the best baseline by more than chance explains.
    """

    sentence: str
    is_worth_it: bool


def judge(metrics: Sequence[Metric], cell: str) -> Verdict:
    """Compare a network with its best baseline.

    Args:
        metrics: What was measured on the test part.
        cell: Of the network: `lstm`, ...
    """
    asked = [m for m in metrics if m.verdict and m.find_best()]
    if not asked:
        return Verdict(f"{CELLS[cell]} without a baseline to compare with", True)
    first, *others = asked
    if not beats(first):
        return Verdict(concede(first, cell), False)
    name, figure = first.find_best() or ("", 0.0)
    sentence = (
        f"{CELLS[cell]} {show(first.value)} {first.verdict}, {name} {show(figure)}: "
        "worth it"
    )
    ties = [concede(other, cell) for other in others if not beats(other)]
    return Verdict("; but ".join([sentence, *ties]), True)


def beats(metric: Metric) -> bool:
    """Return whether the network is better by more than chance explains."""
    best = metric.find_best()
    return best is None or metric.gain_over(best[1]) > metric.margin


def concede(metric: Metric, cell: str) -> str:
    """Say that something simpler does as well, or better."""
    name, figure = metric.find_best() or ("", 0.0)
    who = "counting" if COUNTED.fullmatch(name) else name
    how = "better" if metric.gain_over(figure) < -metric.margin else "as well"
    return (
        f"{who} does {how}: {show(figure)} {metric.verdict} ({name}) against "
        f"{show(metric.value)} ({CELLS[cell]})"
    )


def show(figure: float) -> str:
    """Write a figure that a sentence compares with another."""
    return format_figure(figure, keeps_zeros=True)
