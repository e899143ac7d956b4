"""The report of a trained network: which sections, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from training.config import Config
from training.data.dataset import Dataset
from training.evaluate.boosting.model import list_missing
from training.evaluate.metric import Metric, Predict
from training.html_report.card import describe_data, describe_repeat, describe_use
from training.html_report.held_out import illustrate_held_out
from training.html_report.page import (
    list_metrics,
    list_spread,
    plot_curves,
    render_page,
)
from training.seeds import Spread
from training.verdict import Verdict


class Measured(NamedTuple):
    """A trained network, and how it was measured.

    Args:
        config: What it was trained with.
        dataset: What it was trained and measured on.
        predict: The network.
        others: The networks it was compared with, by name.
        metrics: What was measured.
        verdict: Whether it was worth it.
        curves: Losses by epoch, by name of the network.
        spread: The figures over several seeds; empty for one.
    """

    config: Config
    dataset: Dataset
    predict: Predict
    others: Mapping[str, Predict]
    metrics: Sequence[Metric]
    verdict: Verdict
    curves: Mapping[str, Sequence[float]]
    spread: Sequence[Spread] = ()


def write_report(measured: Measured) -> bytes:
    """Write the report as a page, from the verdict to how to repeat it."""
    config, dataset = measured.config, measured.dataset
    sections = [
        list_metrics(measured.metrics, list_missing(dataset.facts)),
        *list_spread(measured.spread),
        plot_curves(measured.curves),
        *illustrate_held_out(dataset, measured.predict, measured.others),
        describe_data(dataset.facts, config),
        describe_use(config, dataset.outputs, measured.curves),
        describe_repeat(config, measured.verdict),
    ]
    return render_page(config.name, measured.verdict, sections)
