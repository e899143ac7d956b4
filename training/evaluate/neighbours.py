"""Forecast by the past days that were most like now: k nearest neighbours of a series.

At row t a past day is row t - m * d, with d the shortest season and m = 1, 2, ... Its
distance is that of the last rows before it from the last rows before t, once the mean
difference is taken off: days of another level are as near. The forecast is the mean of
what followed the k nearest, in the level of now. How many rows are compared, and k, are
chosen on rows before the held-out part.
No forecast sees a row after its own: what followed a past day has happened by then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries

# Days that are compared, and rows that choose: the last ones before the held-out part.
MAX_DAYS, CHOOSING_ROWS = 400, 2_000
# Of distances at a time.
MAX_CELLS = 2_000_000
COUNTS = (1, 2, 3, 5, 10, 20)
MIN_LENGTH = 4


class Likeness(NamedTuple):
    """Rows to compare days by, and days to average.

    Args:
        rows: Compared before now.
        neighbours: How many are averaged.
    """

    rows: int
    neighbours: int


class Days(NamedTuple):
    """Past days as seen from rows: both of shape (rows, days).

    Args:
        distances: Infinite where there is no such day.
        followed: What followed each day, in the level of now.
    """

    distances: Array
    followed: Array


def forecast_nearest(held_out: HeldOutSeries, ahead: int) -> Array:
    """Forecast every row that is chosen by or held out.

    Returns:
        Shape (rows,); at row t the forecast of row t + ahead. The last value where no
        past day is known; NaN before the rows that are chosen by.
    """
    day = min(held_out.season_rows.values(), default=1)
    stop = held_out.start - ahead
    chosen_by = np.arange(max(0, stop - CHOOSING_ROWS), stop)
    likeness = choose_likeness(held_out.values, day, ahead, chosen_by)
    rows = np.arange(chosen_by[0] if len(chosen_by) else stop, len(held_out.values))
    made = np.full(len(held_out.values), np.nan)
    made[rows] = forecast_rows(held_out.values, day, ahead, rows, likeness)
    return made


def choose_likeness(values: Array, day: int, ahead: int, rows: Array) -> Likeness:
    """Choose how to compare by the mean absolute error on rows."""
    lengths = sorted({max(MIN_LENGTH, day // part) for part in (8, 4, 2, 1)})
    errors = {}
    for length in lengths:
        made = [
            average(days, COUNTS)
            for days, _ in compare(values, day, ahead, rows, length)
        ]
        if not made:
            return Likeness(length, COUNTS[0])
        error = np.abs(np.concatenate(made, axis=1) - values[rows + ahead])
        for count, mean in zip(COUNTS, error_means(error), strict=True):
            errors[Likeness(length, count)] = mean
    return min(errors, key=lambda one: errors[one])


def error_means(errors: Array) -> Array:
    """Average errors where there is a forecast; infinite without any forecast."""
    known = np.isfinite(errors)
    sums = np.where(known, errors, 0).sum(axis=1)
    counts = known.sum(axis=1)
    means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return means


def forecast_rows(
    values: Array, day: int, ahead: int, rows: Array, likeness: Likeness
) -> Array:
    """Forecast rows; the last value where no past day is known."""
    made = np.array(values[rows], float)
    place = 0
    for days, part in compare(values, day, ahead, rows, likeness.rows):
        (mean,) = average(days, (likeness.neighbours,))
        made[place : place + len(part)] = np.where(
            np.isfinite(mean), mean, values[part]
        )
        place += len(part)
    return made


def compare(
    values: Array, day: int, ahead: int, rows: Array, length: int
) -> Iterator[tuple[Days, Array]]:
    """Compare rows with past days, some rows at a time.

    Yields:
        The days, and the rows they are seen from.
    """
    first = math.ceil(ahead / day)  # nearer days have not been followed yet
    last = min((len(values) - length) // day, first + MAX_DAYS - 1)
    shifts = np.arange(first, max(first, last) + 1) * day
    size = max(1, MAX_CELLS // len(shifts))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        columns = [compare_day(values, int(s), ahead, part, length) for s in shifts]
        distances, followed = (np.stack(c, axis=1) for c in zip(*columns, strict=True))
        yield Days(distances, followed), part


def compare_day(
    values: Array, shift: int, ahead: int, rows: Array, length: int
) -> tuple[Array, Array]:
    """Compare rows with the same time of one past day."""
    low = max(0, int(rows[0]) - length + 1)
    now = np.arange(low, int(rows[-1]) + 1)
    is_there = now >= shift
    apart = np.where(is_there, values[now] - values[np.maximum(now - shift, 0)], np.nan)
    sums, squares = (
        np.concatenate([[0.0], np.cumsum(np.nan_to_num(apart) ** power)])
        for power in (1, 2)
    )
    stop = rows - low + 1
    start = np.maximum(stop - length, 0)
    mean = (sums[stop] - sums[start]) / length
    distance = (squares[stop] - squares[start]) / length
    known = rows - shift - length + 1 >= 0
    followed = values[np.maximum(rows - shift + ahead, 0)] + mean
    return np.where(known, distance - mean**2, np.inf), followed


def average(days: Days, counts: tuple[int, ...]) -> Array:
    """Average what followed the nearest days: (counts, rows), NaN where none is."""
    most = min(max(counts), days.distances.shape[1])
    order = np.argsort(days.distances, axis=1, kind="stable")[:, :most]
    nearest = np.take_along_axis(days.distances, order, axis=1)
    followed = np.take_along_axis(days.followed, order, axis=1)
    is_there = np.isfinite(nearest)
    sums = np.cumsum(np.where(is_there, followed, 0), axis=1)
    numbers = np.cumsum(is_there, axis=1)
    with np.errstate(invalid="ignore"):
        means = np.where(numbers > 0, sums / numbers, np.nan)
    return np.stack([means[:, min(count, most) - 1] for count in counts])
