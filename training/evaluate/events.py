"""Figures of next events: how often a network is right, and how sure it is.

Beside the most frequent event, a back-off n-gram and gradient boosting, all fitted on
the training part. The validation part chooses the order of the n-gram, how many trees
there are, and thresholds on surprise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.heads import HeldOutEvents, HeldOutLabels
from training.evaluate.alarms import measure_alarms
from training.evaluate.boosting.model import boost_labels
from training.evaluate.guesses import (
    Guesses,
    find_margin,
    find_shares,
    guess,
    measure_calibration,
    measure_f1,
)
from training.evaluate.metric import AS_TRAINED, NETWORK, Metric, Predict
from training.evaluate.ngram import choose_ngram

# Numbers of most probable events; each is measured where labels are twice as many.
TOPS = (3, 10)
# Numbers of known events that are measured together, from the first of each.
POSITIONS = (1, 2, 3, 5, 10, 20, 50)


class Figure(NamedTuple):
    """A figure that is the mean of one number of each event.

    Args:
        name: In words.
        unit: Its unit.
        better: Which way is better.
        of_each: The numbers.
        verdict: What the verdict calls it; empty where it has no say.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    of_each: Callable[[Guesses], Array]
    verdict: str = ""


def evaluate_events(
    held_out: HeldOutEvents, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure a network on the test part.

    All baselines are counted here but one: the network before it was corrected.
    """
    size, unknown = len(held_out.labels), held_out.unknown
    ngram = choose_ngram(held_out.train, held_out.validation, size)
    predicts: dict[str, Predict] = {
        NETWORK: predict,
        "most frequent": expect_shares(held_out),
        f"{ngram.order}-gram": ngram.predict,
        **boost_labels(held_out),
    }
    guesses = {name: guess(held_out.test, one, size) for name, one in predicts.items()}
    trained = baselines.get(AS_TRAINED)
    before = None if trained is None else guess(held_out.test, trained, size)
    return [
        *(measure_mean(figure, guesses) for figure in list_figures(size, unknown)),
        *measure_without_end(held_out, guesses),
        measure_whole("macro F1", "mean over labels", "higher", guesses, measure_f1),
        measure_mean(BRIER, guesses),
        calibrate(guesses, unknown, before),
        *measure_positions(guesses, SURPRISE),
        *measure_alarms(held_out, predicts, guesses),
    ]


BRIER = Figure("Brier score", "0 to 2", "lower", lambda one: one.brier)
SURPRISE = Figure("surprise", "nats", "lower", lambda one: one.surprise)


def list_figures(num_labels: int, unknown: int | None) -> list[Figure]:
    """List the figures that are measured at every event."""
    right = "right next events"
    return [
        Figure(
            "surprise per event",
            "nats",
            "lower",
            lambda one: one.surprise,
            "nats per event",
        ),
        Figure(right, "share", "higher", lambda one: one.is_right(unknown), right),
        *(
            Figure(
                f"next event among the {top} most probable",
                "share",
                "higher",
                partial(Guesses.is_right, unknown=unknown, top=top),
            )
            for top in TOPS
            if num_labels >= 2 * top
        ),
    ]


def measure_mean(figure: Figure, guesses: Mapping[str, Guesses]) -> Metric:
    """Average a figure, with what chance may explain of its distance to the best."""
    each = {
        name: figure.of_each(one).astype(np.float64) for name, one in guesses.items()
    }
    means = {name: float(numbers.mean()) for name, numbers in each.items()}
    value = means.pop(NETWORK)
    metric = Metric(
        figure.name, value, figure.unit, means, figure.better, figure.verdict
    )
    best = metric.find_best()
    if best is None:
        return metric
    apart = each[NETWORK] - each[best[0]]
    return metric.with_margin(find_margin(apart, guesses[NETWORK].block))


def measure_without_end(
    held_out: HeldOutEvents, guesses: Mapping[str, Guesses]
) -> list[Metric]:
    """Measure what is right where something follows, if there are ends at all."""
    if held_out.end is None:
        return []
    others = {
        name: one.choose(one.targets != held_out.end) for name, one in guesses.items()
    }
    if not len(others[NETWORK].targets):
        return []
    figure = Figure(
        "right next events, ends left out",
        "share",
        "higher",
        lambda one: one.is_right(held_out.unknown),
    )
    return [measure_mean(figure, others)]


def calibrate(
    guesses: Mapping[str, Guesses], unknown: int | None, before: Guesses | None = None
) -> Metric:
    """Measure how far the network's confidence is from how often it is right.

    Args:
        guesses: Of the network and its baselines.
        unknown: Position of the unknown event.
        before: Of the network before it was corrected, if it was.
    """
    others = {} if before is None else {AS_TRAINED: before}
    return measure_whole(
        "expected calibration error",
        "share",
        "lower",
        {**guesses, **others},
        lambda one: measure_calibration(one.confidence, one.is_right(unknown)),
    )


def measure_whole(
    name: str,
    unit: str,
    better: Literal["lower", "higher"],
    guesses: Mapping[str, Guesses],
    figure: Callable[[Guesses], float],
) -> Metric:
    """Measure a figure of all events together."""
    figures = {other: figure(one) for other, one in guesses.items()}
    return Metric(name, figures.pop(NETWORK), unit, figures, better)


def measure_positions(guesses: Mapping[str, Guesses], figure: Figure) -> list[Metric]:
    """Measure a figure by the number of events known, where there are such events."""
    metrics = []
    for low, high in zip(POSITIONS, [*POSITIONS[1:], None], strict=True):
        place = guesses[NETWORK].place
        is_there = (place >= low) & (place < (high or np.inf))
        if not is_there.any():
            continue
        chosen = {name: one.choose(is_there) for name, one in guesses.items()}
        name = f"{figure.name} after {describe_positions(low, high)}"
        metrics.append(measure_mean(figure._replace(name=name), chosen))
    return metrics


def describe_positions(low: int, high: int | None) -> str:
    """Write how many events were known."""
    if high is None:
        return f"{low} events or more"
    if high == low + 1:
        return f"{low} event{'s' * (low > 1)}"
    return f"{low} to {high - 1} events"


def expect_shares(held_out: HeldOutEvents | HeldOutLabels) -> Predict:
    """Expect every label as often as the training part has it."""
    size = len(held_out.labels)
    shares = find_shares(held_out.train, size)
    return lambda sequences: np.broadcast_to(shares, (*sequences.shape[:2], size))
