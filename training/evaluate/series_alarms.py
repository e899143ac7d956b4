"""Alarms of series: the surprise of a value is its distance from the forecast of it.

The distance is counted in half-widths of the forecast interval, or without quantiles in
deviations: the root mean square of the errors before the held-out part. Thresholds are
chosen on the validation part of all series, and scored by their labelled windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.alarms import (
    ALARMS,
    Segments,
    count_alarms,
    count_overlaps,
    find_runs,
    find_threshold,
    find_windows,
    list_scores,
)
from training.evaluate.metric import NETWORK, Metric, Predict
from training.evaluate.past import forecast_past

MIN_UNIT = 1e-30


def measure_series_alarms(
    series: Sequence[HeldOutSeries], predict: Predict
) -> list[Metric]:
    """Measure alarms and their score; nothing where the test part has no window."""
    windows = locate_windows(series)
    if not windows:
        return []
    surprises = [find_surprises(one, predict) for one in series]
    shared = [
        name for name in surprises[0] if all(name in one for one in surprises[1:])
    ]
    chosen = {
        name: np.concatenate(
            [
                own[name][one.validation or one.start : one.start]
                for one, own in zip(series, surprises, strict=True)
            ]
        )
        for name in shared
    }
    unit = "half-widths" if len(series[0].quantiles) > 1 else "deviations"
    metrics = []
    for share in ALARMS:
        if share * len(chosen[NETWORK]) < 1:
            continue
        over = {name: find_threshold(one, share) for name, one in chosen.items()}
        tested = np.concatenate(
            [
                own[NETWORK][one.start :]
                for one, own in zip(series, surprises, strict=True)
            ]
        )
        metrics.append(count_alarms(share, over[NETWORK], tested, unit))
        counts = {
            name: count_overlaps(
                join_runs(series, [own[name] > over[name] for own in surprises]),
                windows,
            )
            for name in shared
        }
        metrics += list_scores(share, counts)
    return metrics


def find_surprises(held_out: HeldOutSeries, predict: Predict) -> dict[str, Array]:
    """Measure the surprise of every row, for the network and for the past."""
    made = {
        NETWORK: predict(held_out.sequence[None])[0][:, 0],
        **forecast_past(held_out, 1),
    }
    return {name: find_surprise(held_out, one) for name, one in made.items()}


def find_surprise(held_out: HeldOutSeries, made: Array) -> Array:
    """Measure how far each value is from the forecast of the row before.

    Args:
        held_out: The series.
        made: Shape (rows,) or (rows, quantiles); at row t the forecast of row t + 1.

    Returns:
        Shape (rows,); 0 where nothing was forecast.
    """
    came, made = held_out.values[1:], made[:-1].astype(float)
    if made.ndim > 1 and made.shape[1] > 1:
        low, high = made[:, 0], made[:, -1]
        levels = held_out.quantiles
        middle = made[:, levels.index(0.5)] if 0.5 in levels else (low + high) / 2
        unit = (high - low) / 2
    else:
        middle = made.reshape(len(made))
        errors = (came - middle)[: held_out.start - 1]
        unit = np.sqrt(np.nanmean(np.square(errors)))
    apart = np.abs(came - middle) / np.maximum(unit, MIN_UNIT)
    return np.concatenate([[0.0], np.nan_to_num(apart)])


def locate_windows(series: Sequence[HeldOutSeries]) -> Segments:
    """Return the labelled windows of the held-out parts, all series on one axis."""
    windows: list[tuple[float, float]] = []
    for one, begin in zip(series, lay_out(series), strict=True):
        if one.windows is not None:
            found = find_windows(one.windows[one.start :])
            windows += [(begin + first, begin + last) for first, last in found]
    return windows


def join_runs(series: Sequence[HeldOutSeries], alarms: Sequence[Array]) -> Segments:
    """Return the runs of alarms of the held-out parts, all series on one axis."""
    runs: list[tuple[float, float]] = []
    for one, begin, own in zip(series, lay_out(series), alarms, strict=True):
        found = find_runs(np.flatnonzero(own[one.start :]))
        runs += [(begin + first, begin + last) for first, last in found]
    return runs


def lay_out(series: Sequence[HeldOutSeries]) -> list[int]:
    """Return where the held-out part of each series begins on one axis."""
    lengths = [len(one.values) - one.start for one in series]
    return [0, *np.cumsum(lengths)[:-1].tolist()]
