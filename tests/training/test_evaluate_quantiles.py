from __future__ import annotations

import numpy as np
import pytest

from training.data.series import HeldOutSeries
from training.evaluate.past import forecast_past
from training.evaluate.quantiles import pinball_loss, spread
from training.evaluate.series import evaluate_series

ROWS, START, HORIZON = 4_000, 3_000, 2
LEVELS = (0.1, 0.5, 0.9)
# Two standard deviations of a share of 1,000 rows is 0.03 at most.
SHARE_TOLERANCE = 0.04


def draw_series(levels=LEVELS):
    """Independent values, uniform from 0 to 1: their quantiles are their levels."""
    values = np.random.default_rng(0).random(ROWS)
    sequence = np.stack([values * 0, values * 0, values], -1).astype(np.float32)
    return HeldOutSeries(
        sequence, values, START, HORIZON, {"day": 24}, levels, boosted=False
    )


def forecast_always(levels):
    return lambda sequences: np.broadcast_to(levels, (1, ROWS, HORIZON, len(levels)))


def by_name(metrics):
    return {metric.name: metric for metric in metrics}


def test_exact_quantiles_cover_their_share_and_lose_least():
    held_out = draw_series()

    exact = by_name(evaluate_series(held_out, forecast_always(LEVELS), {}))
    wrong = by_name(evaluate_series(held_out, forecast_always([0.3, 0.5, 0.7]), {}))

    for level in LEVELS:
        covered = exact[f"values up to quantile {level}, 2 rows ahead"]
        assert covered.value == pytest.approx(level, abs=SHARE_TOLERANCE)
        assert covered.better == "nominal"
    assert exact["pinball loss 2 rows ahead"].value == pytest.approx(
        # Of a uniform value: q * (1 - q) / 2, relative to its mean 1/2.
        np.mean([q * (1 - q) / 2 for q in LEVELS]) / 0.5,
        rel=0.05,
    )
    for name in ("pinball loss 1 row ahead", "pinball loss 2 rows ahead"):
        assert exact[name].value < wrong[name].value


def test_the_past_covers_its_share_too_and_loses_more():
    metrics = by_name(evaluate_series(draw_series(), forecast_always(LEVELS), {}))

    loss = metrics["pinball loss 1 row ahead"]
    assert loss.baselines.keys() == {"last value", "day", "nearest past days"}
    assert all(loss.value < other for other in loss.baselines.values())
    shares = metrics["values up to quantile 0.9, 1 row ahead"].baselines
    assert shares["last value"] == pytest.approx(0.9, abs=SHARE_TOLERANCE)


def test_median_is_scored_as_a_forecast_of_one_value():
    median = by_name(evaluate_series(draw_series(), forecast_always(LEVELS), {}))
    none = draw_series((0.2, 0.8))

    without = by_name(evaluate_series(none, forecast_always((0.2, 0.8)), {}))

    assert median["WAPE 1 row ahead"].value == pytest.approx(0.5, rel=0.05)
    assert "WAPE 1 row ahead" not in without


def test_pinball_loss_by_hand():
    target, made = np.array([10.0, 0.0]), np.array([[8.0, 12.0], [1.0, 2.0]])

    loss = pinball_loss(target, made, (0.25, 0.75))

    assert loss == pytest.approx((0.25 * 2 + 0.25 * 2 + 0.75 * 1 + 0.25 * 2) / 4)


def test_quantiles_of_the_past_never_see_the_held_out_part():
    held_out = draw_series()
    other = held_out.values.copy()
    other[START:] = 99.0

    poisoned = held_out._replace(values=other)
    clean, dirty = (forecast_past(one, HORIZON) for one in (held_out, poisoned))

    for name, made in clean.items():
        first, second = (
            spread(one, HORIZON, forecast)[:START]
            for one, forecast in ((held_out, made), (poisoned, dirty[name]))
        )
        assert np.array_equal(first, second, equal_nan=True)
