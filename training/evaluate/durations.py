"""Measure times until something happens: how far off they are, and how often they hold.

Beside the quantiles of the training part after the same last event, and after as many
events, and gradient boosting: what follows without a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.durations import HeldOutTimes
from training.data.fields import take_events
from training.evaluate.boosting.model import boost_times
from training.evaluate.events import POSITIONS, describe_positions
from training.evaluate.guesses import (
    BLOCK,
    SEQUENCE_BITS,
    cut_calls,
    find_margin,
)
from training.evaluate.metric import NETWORK, Metric, Predict
from training.evaluate.quantiles import pinball_loss

UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


class Waits(NamedTuple):
    """Times that were expected at every event that counts, in one unit.

    Args:
        targets: Times that came, of shape (events,).
        made: Quantiles that were forecast, of shape (events, quantiles).
        block: Number of the event's block, as in `Guesses`; of shape (events,).
        place: Number of known events of the case, from 1; of shape (events,).
    """

    targets: Array
    made: Array
    block: Array
    place: Array


def evaluate_times(
    held_out: HeldOutTimes, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure a network on the test part."""
    del baselines  # counted here, not trained
    unit, size = choose_unit(held_out.train.targets[held_out.train.weights > 0])
    predicts = {
        NETWORK: predict,
        **count_times(held_out),
        **boost_times(held_out),
    }
    waits = {name: wait(held_out.test, one, size) for name, one in predicts.items()}
    middle = held_out.quantiles.index(0.5)
    what = f"mean error of the {held_out.task}"
    everywhere = np.ones(len(waits[NETWORK].targets), bool)
    error = measure_error(what, unit, waits, middle, everywhere)
    return [
        error.with_verdict(f"{unit} off the {held_out.task}"),
        measure_pinball(held_out, unit, waits),
        *measure_shares(held_out, waits),
        *measure_positions(what, unit, waits, middle),
    ]


def choose_unit(seconds: Array) -> tuple[str, int]:
    """Return the largest unit that times are on average, with its seconds."""
    return next(
        (name, size)
        for name, size in UNITS.items()
        if seconds.mean() >= size or size == 1
    )


def wait(sequences: Sequences, predict: Predict, unit: int) -> Waits:
    """Ask at every event, times in a unit of some seconds."""
    parts = []
    for examples, rows in cut_calls(sequences, 1):
        counted = examples.weights > 0
        row, place = np.nonzero(counted)
        block = rows[row] * (1 << SEQUENCE_BITS) + place // BLOCK
        made = np.asarray(predict(examples.sequences))[counted] / unit
        parts.append(Waits(examples.targets[counted] / unit, made, block, place + 1))
    return Waits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def measure_error(
    name: str, unit: str, waits: Mapping[str, Waits], middle: int, chosen: Array
) -> Metric:
    """Measure the mean absolute error of the median at some of the events."""
    errors = {
        other: np.abs(one.made[chosen, middle].astype(float) - one.targets[chosen])
        for other, one in waits.items()
    }
    means = {other: float(each.mean()) for other, each in errors.items()}
    metric = Metric(name, means.pop(NETWORK), unit, means)
    best = metric.find_best()
    if best is None:
        return metric
    apart = errors[NETWORK] - errors[best[0]]
    return metric.with_margin(find_margin(apart, waits[NETWORK].block[chosen]))


def measure_pinball(
    held_out: HeldOutTimes, unit: str, waits: Mapping[str, Waits]
) -> Metric:
    """Measure the mean pinball loss over the quantiles."""
    losses = {
        name: pinball_loss(one.targets, one.made.astype(float), held_out.quantiles)
        for name, one in waits.items()
    }
    name = f"pinball loss of the {held_out.task}"
    return Metric(name, losses.pop(NETWORK), unit, losses)


def measure_shares(held_out: HeldOutTimes, waits: Mapping[str, Waits]) -> list[Metric]:
    """Measure how often each quantile is not exceeded."""
    metrics = []
    for k, level in enumerate(held_out.quantiles):
        shares = {
            name: float((one.targets <= one.made[:, k]).mean())
            for name, one in waits.items()
        }
        name = f"times up to quantile {level:g} of the {held_out.task}"
        metrics.append(
            Metric(name, shares.pop(NETWORK), "share", shares, better="nominal")
        )
    return metrics


def measure_positions(
    name: str, unit: str, waits: Mapping[str, Waits], middle: int
) -> list[Metric]:
    """Measure the error by the number of events known, where there are such events."""
    place = waits[NETWORK].place
    metrics = []
    for low, high in zip(POSITIONS, [*POSITIONS[1:], None], strict=True):
        is_there = (place >= low) & (place < (high or np.inf))
        if is_there.any():
            known = f"{name} after {describe_positions(low, high)}"
            metrics.append(measure_error(known, unit, waits, middle, is_there))
    return metrics


def count_times(held_out: HeldOutTimes) -> dict[str, Predict]:
    """Expect what the training part has, counted in two ways."""
    return {
        "median after this event": expect_by_event(held_out),
        "median at the same position": expect_by_place(held_out),
    }


def expect_by_event(held_out: HeldOutTimes) -> Predict:
    """Expect the quantiles of the training part after the same last event."""
    events = take_events(held_out.train.inputs)
    table = tabulate(held_out, events, int(events.max()) + 1)
    return lambda sequences: look_up(table, take_events(sequences))


def expect_by_place(held_out: HeldOutTimes) -> Predict:
    """Expect the quantiles of the training part after as many events."""
    train, most = held_out.train, POSITIONS[-1]
    places = np.arange(len(train.inputs)) - np.repeat(train.offsets[:-1], train.lengths)
    table = tabulate(held_out, np.minimum(places, most), most + 1)

    def predict(sequences: Array) -> Array:
        places = np.minimum(np.arange(sequences.shape[1]), most)
        return look_up(table, np.tile(places, (len(sequences), 1)))

    return predict


def tabulate(held_out: HeldOutTimes, groups: Array, size: int) -> Array:
    """Compute the quantiles of each group: (groups, quantiles); else those of all."""
    counted = held_out.train.weights > 0
    targets, groups = held_out.train.targets[counted], groups[counted]
    table = np.tile(np.quantile(targets, held_out.quantiles), (size, 1))
    order = np.argsort(groups, kind="stable")
    found, starts = np.unique(groups[order], return_index=True)
    for group, part in zip(found, np.split(targets[order], starts[1:]), strict=True):
        table[group] = np.quantile(part, held_out.quantiles)
    return table


def look_up(table: Array, places: Array) -> Array:
    """Look quantiles up; events that training does not have are those of the last."""
    found: Array = table[np.minimum(places, len(table) - 1)]
    return found
