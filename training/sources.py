"""The data sources by name: options, loader and evaluation of each, in one entry.

A source without one of them cannot be written down, so that nothing is trained that
could not be measured afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from training.data.dataset import Dataset
from training.data.event_options import EventOptions
from training.data.events import load_events
from training.data.nature import NatureOptions, load_nature
from training.data.roommate import RoommateOptions, load_roommate
from training.data.series import SeriesOptions, load_series
from training.evaluate.metric import Metric, Predict
from training.evaluate.nature import evaluate_nature
from training.evaluate.roommate import evaluate_roommate
from training.evaluate.series import evaluate_series
from training.evaluate.tasks import evaluate_tasks

# (held-out data, the network, trained baselines by name) -> metrics
Evaluation = Callable[[Any, Predict, Mapping[str, Predict]], list[Metric]]


class Source(NamedTuple):
    """A data source.

    Args:
        options: The dataclass of its `[data]` keys.
        load: From its options and a seed to its data.
        evaluate: Measures a network on what it held out.
    """

    options: type
    load: Callable[[Any, int], Dataset]
    evaluate: Evaluation


SOURCES: Mapping[str, Source] = {
    "events": Source(EventOptions, load_events, evaluate_tasks),
    "series": Source(SeriesOptions, load_series, evaluate_series),
    "nature": Source(NatureOptions, load_nature, evaluate_nature),
    "roommate": Source(RoommateOptions, load_roommate, evaluate_roommate),
}
