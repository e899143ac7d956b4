"""Forecast by the past, repeated, averaged or learnt: what a network has to beat.

Does not know how forecasts are scored.
"""

from __future__ import annotations

import math

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.boosting.series import boost_series
from training.evaluate.neighbours import forecast_nearest


def distances(held_out: HeldOutSeries) -> list[int]:
    """Return how many rows ahead is measured: one, and the horizon."""
    return sorted({1, held_out.horizon})


def forecast_past(held_out: HeldOutSeries, ahead: int) -> dict[str, Array]:
    """Forecast by every means of the past, each of shape (rows,), by name."""
    seasons = {"last value": 1, **held_out.season_rows}
    repeated = {name: repeat(held_out, ahead, rows) for name, rows in seasons.items()}
    nearest = "nearest past days" if held_out.season_rows else "nearest past rows"
    return {
        **repeated,
        nearest: forecast_nearest(held_out, ahead),
        **boost_series(held_out, ahead),
    }


def repeat(held_out: HeldOutSeries, ahead: int, season: int) -> Array:
    """Forecast the value of whole seasons before: the last one known at row t.

    Returns:
        Shape (rows,); NaN where the series had not begun.
    """
    back = season * math.ceil(ahead / season) - ahead
    rows = np.arange(len(held_out.values)) - back
    return np.where(rows >= 0, held_out.values[rows], np.nan)
