"""Two versions side by side on the same held-out data, the newer one's.

The older version is asked in its own words: names of events and categories are
translated to its places, and its answers to the newer one's. An event that it does not
know is its unknown event, as the service would take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from models.schemas import (
    Schema,
    find_columns,
    list_fields,
    list_heads,
    output_names,
)
from training.data.dataset import Array
from training.data.durations import HeldOutTimes
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.data.series import HeldOutSeries
from training.errors import ConfigError
from training.evaluate.durations import choose_unit, wait
from training.evaluate.guesses import BLOCK, find_margin, guess
from training.evaluate.labels import choose_last, decides_at_end
from training.evaluate.metric import Metric, Predict
from training.evaluate.quantiles import find_losses
from training.evaluate.series import find_errors
from training.evaluate.tasks import select
from training.sources import Evaluation
from training.verdict import show


class Side(NamedTuple):
    """A version, or a network that may become one.

    Args:
        title: What it is called.
        inputs: Its input schema.
        outputs: Its output schema.
        predict: Its answers in its own words.
    """

    title: str
    inputs: Schema
    outputs: Schema
    predict: Predict


class Comparison(NamedTuple):
    """Result of a comparison.

    Args:
        sentence: For people.
        is_better: Whether the newer one is better by more than chance explains.
        metrics: The newer one's, with the older one among the baselines.
    """

    sentence: str
    is_better: bool
    metrics: list[Metric]


def compare(
    newer: Side, older: Side, held_out: Any, evaluate: Evaluation
) -> Comparison:
    """Measure both on the newer one's held-out data.

    Raises:
        ConfigError: They do not answer the same question.
    """
    translated = translate(older, newer)
    before = {m.name: m.value for m in evaluate(held_out, translated, {})}
    metrics = [
        replace(m, baselines={older.title: before[m.name], **m.baselines})
        for m in evaluate(held_out, newer.predict, {})
        if m.name in before
    ]
    decisive = next((m for m in metrics if m.verdict), metrics[0])
    margin = measure_margin(held_out, newer.predict, translated)
    gain = decisive.gain_over(before[decisive.name])
    how = "better than" if gain > margin else "no better than"
    sentence = (
        f"{newer.title} is {how} {older.title}: {show(decisive.value)} against "
        f"{show(before[decisive.name])} {decisive.verdict or decisive.name}"
    )
    return Comparison(sentence, gain > margin, metrics)


def measure_margin(held_out: Any, newer: Predict, older: Predict) -> float:
    """Return the difference that chance alone exceeds in 1 of 20 cases.

    0 where the figure that decides has no such margin.
    """
    if isinstance(held_out, HeldOutHeads):  # the first one decides
        name, first_head = next(iter(held_out.by_name.items()))
        return measure_margin(first_head, select(newer, name), select(older, name))
    if isinstance(held_out, HeldOutEvents | HeldOutLabels):
        size = len(held_out.labels)
        one, other = (guess(held_out.test, p, size) for p in (newer, older))
        is_label = isinstance(held_out, HeldOutLabels)
        if isinstance(held_out, HeldOutLabels) and decides_at_end(held_out):
            one, other = (choose_last(held_out, g) for g in (one, other))
        first, second = (
            g.is_right(None).astype(float) if is_label else g.surprise
            for g in (one, other)
        )
        return find_margin(first - second, one.block)
    if isinstance(held_out, HeldOutTimes):
        return measure_time_margin(held_out, newer, older)
    if isinstance(held_out, HeldOutSeries):
        return measure_series_margin(held_out, newer, older)
    if isinstance(held_out, Sequence):  # several series, each as heavy
        each = [measure_series_margin(one, newer, older) for one in held_out]
        return float(np.linalg.norm(each)) / len(each)
    return 0.0


def measure_time_margin(
    held_out: HeldOutTimes, newer: Predict, older: Predict
) -> float:
    """Return the margin of the error of the median."""
    one, other = (wait(held_out.test, p, 1) for p in (newer, older))
    middle = held_out.quantiles.index(0.5)
    seconds = held_out.train.targets[held_out.train.weights > 0]
    first, second = (
        np.abs(w.made[:, middle].astype(float) - w.targets) for w in (one, other)
    )
    _, size = choose_unit(seconds)
    return find_margin(first - second, one.block) / size


def measure_series_margin(
    held_out: HeldOutSeries, newer: Predict, older: Predict
) -> float:
    """Return the margin of the error at the horizon, or of the quantiles' loss."""
    far, levels = held_out.horizon, held_out.quantiles

    def measure(predict: Predict) -> Array:
        made = predict(held_out.sequence[None])[0][:, far - 1]
        if levels and 0.5 not in levels:
            return find_losses(held_out, far, made)
        one = made[:, levels.index(0.5)] if levels else made
        return find_errors(held_out, far, one)

    first, second = measure(newer), measure(older)
    return find_margin(first - second, np.arange(len(first)) // BLOCK)


def translate(older: Side, newer: Side) -> Predict:
    """Ask an older version in the newer one's words.

    Raises:
        ConfigError: It takes or answers something else.
    """
    fields, known = list_fields(newer.inputs), list_fields(older.inputs)
    if [f["name"] for f in fields] != [f["name"] for f in known]:
        raise ConfigError(
            f"{older.title} takes {name_fields(known)} and {newer.title} "
            f"{name_fields(fields)}; expected the same fields. Compare versions that "
            "take the same, or train the first one with `python -m training fit`."
        )
    changes = [
        (column, translate_names(field, other, older.title))
        for (field, column), other in zip(
            find_columns(newer.inputs), known, strict=True
        )
        if "vocabulary" in field
    ]
    answer = translate_answers(older, newer)

    def predict(sequences: Array) -> Array:
        own = sequences.copy()
        for column, places in changes:
            if column is None:
                own = places[sequences].astype(sequences.dtype)
            else:
                own[..., column] = places[sequences[..., column].astype(np.int64)]
        answers: Array = answer(older.predict(own))
        return answers

    return predict


def name_fields(fields: Sequence[Schema]) -> str:
    """Write the names of fields, with commas between."""
    return ", ".join(field["name"] for field in fields)


def translate_names(field: Schema, other: Schema, title: str) -> Array:
    """Return the older place of each name; that of the unknown one where it has none.

    Raises:
        ConfigError: A name has no place there.
    """
    places = {name: k for k, name in enumerate(other.get("vocabulary", ()))}
    unknown = places.get(other.get("unknown", ""))
    found = [places.get(name, unknown) for name in field["vocabulary"]]
    if None in found:
        name = field["vocabulary"][found.index(None)]
        raise ConfigError(
            f"{title} does not know {name!r} and has no unknown event; expected a "
            "version that takes all events. Train it with data.unknown = true."
        )
    return np.array(found)


def translate_answers(older: Side, newer: Side) -> Any:
    """Return what gives the older version's answers the newer one's places.

    Raises:
        ConfigError: They answer something else.
    """
    names = output_names(newer.outputs)
    if names != output_names(older.outputs):
        raise ConfigError(
            f"{older.title} answers {', '.join(output_names(older.outputs))} and "
            f"{newer.title} {', '.join(names)}; expected the same. Compare versions of "
            "the same tasks."
        )
    heads = [
        translate_head(older._replace(outputs=theirs), newer._replace(outputs=ours))
        for theirs, ours in zip(
            list_heads(older.outputs), list_heads(newer.outputs), strict=True
        )
    ]
    if len(heads) == 1:
        return heads[0]
    by_name = dict(zip(names, heads, strict=True))
    return lambda answers: {name: by_name[name](answers[name]) for name in names}


def translate_head(older: Side, newer: Side) -> Any:
    """Return what gives one output of the older version the newer one's places.

    What the older one gives its unknown label is shared by all that it does not know.

    Raises:
        ConfigError: They answer something else.
    """
    ours, theirs = newer.outputs, older.outputs
    same = ("kind", "horizon", "quantiles", "field")
    if any(ours.get(key) != theirs.get(key) for key in same):
        wrong = next(key for key in same if ours.get(key) != theirs.get(key))
        raise ConfigError(
            f"{wrong} of {older.title} is {theirs.get(wrong)!r} and of {newer.title} "
            f"{ours.get(wrong)!r}; expected the same output. Compare versions of one "
            "task."
        )
    if "labels" not in ours:
        return lambda answers: answers
    places = {name: k for k, name in enumerate(theirs["labels"])}
    rest = [name for name in ours["labels"] if name not in places]
    unknown = list_fields(older.inputs)[0].get("unknown", "")
    shared = [*rest, *[unknown] * (unknown in ours["labels"])]
    weights = np.zeros((len(theirs["labels"]), len(ours["labels"])))
    for k, name in enumerate(ours["labels"]):
        if name in places and name not in shared:
            weights[places[name], k] = 1.0
        elif unknown in places and name in shared:
            weights[places[unknown], k] = 1.0 / len(shared)
    return lambda answers: answers @ weights
