"""Sections of a report by data source: held-out data, ready to be illustrated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from training.data.dataset import Dataset, Examples, Sequences
from training.data.durations import HeldOutTimes
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.data.nature import Programmes
from training.data.roommate import HeldOutWeather
from training.data.series import HeldOutSeries
from training.evaluate.metric import Predict
from training.evaluate.ngram import choose_ngram
from training.evaluate.tasks import select
from training.examples import write_event
from training.html_report.classified import Asked, illustrate
from training.html_report.parts import Section
from training.html_report.series import illustrate_series
from training.html_report.times import illustrate_times

# The place after the labels of the training part.
UNSEEN = "(not in training)"


def illustrate_held_out(
    dataset: Dataset, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Section]:
    """Show a network on held-out data; nothing where nothing is known of their form."""
    held_out = dataset.held_out
    if isinstance(held_out, HeldOutSeries) or is_list_of_series(held_out):
        return illustrate_series(held_out, predict)
    if isinstance(held_out, HeldOutHeads):
        return illustrate_heads(dataset, held_out, predict)
    if isinstance(held_out, HeldOutEvents):
        ngram = choose_ngram(held_out.train, held_out.validation, len(held_out.labels))
        others = {f"{ngram.order}-gram": ngram.predict}
        return illustrate(ask(dataset, held_out.test, predict, others))
    if isinstance(held_out, HeldOutTimes):
        return illustrate_times(held_out, predict, name_events(dataset))
    if isinstance(held_out, HeldOutLabels):
        return illustrate(ask_labels(dataset, held_out, predict))
    if (asked := ask_examples(dataset, predict, baselines)) is not None:
        return illustrate(asked)
    return []


def ask_examples(
    dataset: Dataset, predict: Predict, baselines: Mapping[str, Predict]
) -> Asked | None:
    """Describe what a network was asked of examples; None for another form of data."""
    held_out, what = dataset.held_out, "label"
    if isinstance(held_out, HeldOutWeather):
        held_out, what = held_out.examples, "dinner"
    elif isinstance(held_out, Programmes):
        weights = held_out.is_blurry.astype("float32")
        held_out = Examples(held_out.events, held_out.labels, weights)
        what = "blurry animal"
    if (
        not isinstance(held_out, Examples | Sequences)
        or "labels" not in dataset.outputs
    ):
        return None
    return ask(dataset, held_out, predict, baselines)._replace(what=what)


def illustrate_heads(
    dataset: Dataset, held_out: HeldOutHeads, predict: Predict
) -> list[Section]:
    """Show each head of a network under its name."""
    sections = []
    for name, own in held_out.by_name.items():
        outputs = {"labels": getattr(own, "labels", [])}
        alone = replace(dataset, held_out=own, outputs=outputs)
        shown = illustrate_held_out(alone, select(predict, name), {})
        sections += [one._replace(title=f"{one.title}: {name}") for one in shown]
    return sections


def is_list_of_series(held_out: Any) -> bool:
    """Return whether the held-out data are several series."""
    return isinstance(held_out, Sequence) and all(
        isinstance(one, HeldOutSeries) for one in held_out
    )


def ask_labels(dataset: Dataset, held_out: HeldOutLabels, predict: Predict) -> Asked:
    """Describe what a network was asked of labels; some may be of the test alone."""
    size = len(held_out.labels)
    ngram = choose_ngram(held_out.train, held_out.validation, size, held_out.num_events)
    others = {f"{ngram.order}-gram": ngram.predict}
    asked = ask(dataset, held_out.test, predict, others)
    return asked._replace(labels=[*held_out.labels, UNSEEN], what="label")


def ask(
    dataset: Dataset, sequences: Any, predict: Predict, others: Mapping[str, Predict]
) -> Asked:
    """Describe what a network was asked, with the names of the schemas."""
    return Asked(
        sequences,
        predict,
        others,
        name_events(dataset),
        dataset.outputs["labels"],
        getattr(dataset.held_out, "unknown", None),
    )


def name_events(dataset: Dataset) -> Callable[[Any], str]:
    """Return what writes an encoded event in one line."""
    return lambda encoded: say_event(write_event(dataset.inputs, encoded.tolist()))


def say_event(event: Any) -> str:
    """Write an event in one line: its name, or its fields."""
    if not isinstance(event, Mapping):
        return str(event)
    fields = (f"{x:g}" if isinstance(x, float) else str(x) for x in event.values())
    return ", ".join(fields)
