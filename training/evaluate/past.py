"""Forecast by repeating the past: what a network has to beat.

Does not know how forecasts are scored.
"""

from __future__ import annotations

import math

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries


def distances(held_out: HeldOutSeries) -> list[int]:
    """Return how many rows ahead is measured: one, and the horizon."""
    return sorted({1, held_out.horizon})


def seasons(held_out: HeldOutSeries) -> dict[str, int]:
    """Return the length in rows of each season to repeat, by name."""
    return {"last value": 1, **held_out.season_rows}


def repeat(held_out: HeldOutSeries, ahead: int, season: int) -> Array:
    """Forecast the value of whole seasons before: the last one known at row t.

    Returns:
        Shape (rows,); NaN where the series had not begun.
    """
    back = season * math.ceil(ahead / season) - ahead
    rows = np.arange(len(held_out.values)) - back
    return np.where(rows >= 0, held_out.values[rows], np.nan)
