"""The k nearest past days beside a search that is written out, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.series import HeldOutSeries
from training.evaluate.neighbours import (
    Likeness,
    choose_likeness,
    forecast_nearest,
    forecast_rows,
)
from training.evaluate.past import forecast_past

DAY, ROWS, START = 12, 480, 400


def draw_values(rows=ROWS, seed=0):
    """Two kinds of days, of a level that drifts."""
    rng = np.random.default_rng(seed)
    shapes = rng.normal(0, 5, (2, DAY))
    days = shapes[rng.integers(0, 2, rows // DAY)]
    return 50 + days.ravel() + rng.normal(0, 1, rows).cumsum() / 5


def hold_out(values, horizon=3, seasons=None):
    sequence = np.stack([values * 0, values * 0, values], -1).astype(np.float32)
    seasons = {"day": DAY} if seasons is None else seasons
    return HeldOutSeries(sequence, values, START, horizon, seasons, boosted=False)


def search(values, row, ahead, likeness):
    """Find the nearest days of one row by looking at each."""
    found = []
    for day in range(row - DAY, likeness.rows - 2, -DAY):
        if day + ahead > row:
            continue
        there = slice(day - likeness.rows + 1, day + 1)
        apart = values[row - likeness.rows + 1 : row + 1] - values[there]
        found.append((apart.var(), values[day + ahead] + apart.mean()))
    nearest = sorted(found)[: likeness.neighbours]
    return np.mean([followed for _, followed in nearest])


@pytest.mark.parametrize("ahead", [1, 3, DAY, DAY + 1])
@pytest.mark.parametrize("likeness", [Likeness(4, 1), Likeness(12, 3)])
def test_forecast_is_that_of_looking_at_each_day(ahead, likeness):
    values, rows = draw_values(), np.arange(100, 200)

    made = forecast_rows(values, DAY, ahead, rows, likeness)

    expected = [search(values, row, ahead, likeness) for row in rows]
    assert made == pytest.approx(np.array(expected))


@pytest.mark.parametrize("ahead", [1, 3, DAY + 1])
def test_no_forecast_sees_a_later_row(ahead):
    values = draw_values()
    later = values.copy()
    later[START + 20 :] = 1e6

    clean, poisoned = (forecast_past(hold_out(one), ahead) for one in (values, later))

    for name, made in clean.items():
        known = slice(0, START + 20)
        assert np.array_equal(made[known], poisoned[name][known], equal_nan=True), name


def test_likeness_is_chosen_before_the_held_out_part():
    values = draw_values()
    likeness = choose_likeness(values, DAY, 3, np.arange(START - 3))

    made = forecast_nearest(hold_out(values), 3)[START - 3 :]

    rows = np.arange(100, START - 3)
    errors = {
        other: np.abs(forecast_rows(values, DAY, 3, rows, other) - values[rows + 3])
        for other in (likeness, Likeness(4, 1), Likeness(12, 20))
    }
    assert min(errors, key=lambda one: errors[one].mean()) == likeness
    held_out = np.arange(START - 3, ROWS)
    again = forecast_rows(values, DAY, 3, held_out, likeness)
    assert made == pytest.approx(again)  # sums of other rows round otherwise


def test_days_that_repeat_are_forecast_exactly():
    values = np.tile(np.random.default_rng(0).normal(0, 1, 2 * DAY), 20)

    made = forecast_nearest(hold_out(values), 3)

    assert made[START - 3 : -3] == pytest.approx(values[START:])


def test_row_without_a_past_day_repeats_the_last_value():
    values = draw_values()

    made = forecast_rows(values, DAY, 3, np.array([2, 5]), Likeness(4, 1))

    assert made.tolist() == values[[2, 5]].tolist()


def test_without_a_season_past_rows_are_compared():
    past = forecast_past(hold_out(draw_values(), seasons={}), 3)

    assert list(past) == ["last value", "nearest past rows"]
    assert np.isfinite(past["nearest past rows"][START - 3 :]).all()
