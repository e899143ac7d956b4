"""Boosted trees that forecast a series, each distance ahead by trees of its own.

They expect how far the value moves from that of now, from the moves of the last rows,
those of the same time in past seasons, the clock, and the other fields of the row.
Fitted before the validation part, or without one before the last tenth of the
rows to train on: the errors that intervals are made of are those of rows not fitted.
"""

from __future__ import annotations

import math

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.boosting.features import shift
from training.evaluate.boosting.model import (
    MAX_ROWS,
    MAX_VALIDATION_ROWS,
    NAME,
    FeatureTable,
    draw,
    fit_trees,
    is_installed,
    limit_threads,
    remember,
)

NUM_MOVES = 12
# Columns of a row: days, seconds of the day and value, then further fields.
DAYS, SECONDS, FURTHER = 0, 1, 3
DAYS_PER_WEEK = 7
# Without a validation part.
SHARE_FITTED = 0.9
MIN_ROWS = 20


def boost_series(held_out: HeldOutSeries, ahead: int) -> dict[str, Array]:
    """Forecast a series; empty without scikit-learn, or with too few rows to fit.

    Returns:
        By name, of shape (rows,): at row t the forecast of row t + ahead; NaN at rows
        that the trees were fitted on.
    """
    fitted = find_fitted(held_out, ahead)
    if not (is_installed() and held_out.boosted) or fitted < MIN_ROWS:
        return {}
    key = f"{ahead} ahead before {held_out.start}"
    made = remember(held_out.values, key, lambda: forecast(held_out, ahead, fitted))
    return {NAME: made}


def find_fitted(held_out: HeldOutSeries, ahead: int) -> int:
    """Return how many rows are fitted on: what follows them is a row of training."""
    if held_out.validation is not None:
        return held_out.validation - ahead
    return int(SHARE_FITTED * held_out.start) - ahead


def forecast(held_out: HeldOutSeries, ahead: int, fitted: int) -> Array:
    """Fit trees and forecast the rows after those that they were fitted on."""
    values = held_out.values
    features = describe(held_out, ahead)
    moves = shift(values, -ahead) - values
    names = [False] * features.shape[1]
    train, chosen_by = (
        FeatureTable(features[rows], moves[rows], names)
        for rows in (
            draw(np.arange(fitted), MAX_ROWS),
            draw(
                np.arange(fitted + ahead, held_out.start - ahead), MAX_VALIDATION_ROWS
            ),
        )
    )
    model = fit_trees(train, chosen_by, 1, quantile=0.5)
    made = np.full(len(values), np.nan)
    with limit_threads():
        made[fitted:] = values[fitted:] + model.predict(features[fitted:])
    return made


def describe(held_out: HeldOutSeries, ahead: int) -> Array:
    """Describe rows by themselves and those before: (rows, features)."""
    values, sequence = held_out.values, held_out.sequence.astype(float)
    parts = [values]
    parts += [values - shift(values, back) for back in range(1, NUM_MOVES + 1)]
    for season in held_out.season_rows.values():
        back = season * math.ceil(ahead / season)
        parts.append(shift(values, back - ahead) - values)
        parts.append(shift(values, back) - values)
    parts += [sequence[:, DAYS] % DAYS_PER_WEEK, sequence[:, SECONDS]]
    return np.stack([*parts, *sequence[:, FURTHER:].T], axis=1)
