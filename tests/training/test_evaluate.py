from __future__ import annotations

import numpy as np
import pytest

from training.data.dataset import Examples
from training.data.nature import (
    LABELS,
    NatureOptions,
    exact_posterior,
    generate_programmes,
)
from training.data.roommate import (
    TRAIN_STREAM,
    HeldOutWeather,
    RoommateOptions,
    cook,
    generate_weather,
    load_roommate,
)
from training.data.series import HeldOutSeries
from training.evaluate.nature import divergence, evaluate_nature
from training.evaluate.past import repeat
from training.evaluate.roommate import evaluate_roommate
from training.evaluate.series import evaluate_series
from training.sources import SOURCES, Source

HORIZON = 3


def held_out_series(values, start):
    values = np.asarray(values, float)
    sequence = np.stack([values * 0, values * 0, values], -1).astype(np.float32)
    return HeldOutSeries(sequence, values, start, HORIZON, {"season": 4}, boosted=False)


def shifted(values, ahead):
    """The value `ahead` rows later, NaN past the end."""
    return np.concatenate([values[ahead:], np.full(ahead, np.nan)])


def test_perfect_forecast_has_no_error():
    held_out = held_out_series(range(1, 21), start=15)
    perfect = np.stack([shifted(held_out.values, k + 1) for k in range(HORIZON)], -1)

    metrics = evaluate_series(held_out, lambda sequences: perfect[None], {})

    assert [metric.value for metric in metrics] == [0, 0]
    assert [metric.name for metric in metrics] == [
        "WAPE 1 row ahead",
        "WAPE 3 rows ahead",
    ]


def test_wape_divides_mean_error_by_mean_value():
    held_out = held_out_series(range(1, 21), start=15)

    far = evaluate_series(held_out, lambda s: np.zeros((1, 20, HORIZON)), {})[1]

    assert far.value == 1.0
    assert far.baselines["last value"] == pytest.approx(
        3 / np.mean([16, 17, 18, 19, 20])
    )


def test_seasonal_baseline_is_perfect_on_a_seasonal_series():
    held_out = held_out_series([1, 5, 2, 9] * 5, start=12)

    metrics = evaluate_series(held_out, lambda s: np.zeros((1, 20, HORIZON)), {})

    assert [metric.baselines["season"] for metric in metrics] == [0, 0]


@pytest.mark.parametrize("season", [1, 2, 3, 4, 5])
def test_baseline_never_sees_the_future(season):
    held_out = held_out_series(range(20), start=15)

    made = repeat(held_out, HORIZON, season)

    known = ~np.isnan(made)
    assert np.all(made[known] <= np.arange(20)[known])
    assert np.all((np.arange(20)[known] + HORIZON - made[known]) % season == 0)


def test_divergence_of_equal_distributions_is_zero():
    p = np.array([[[0.2, 0.8, 0.0]]])

    assert divergence(p, p).tolist() == [[0.0]]


def test_divergence_is_the_textbook_formula():
    p, q = np.array([[[0.2, 0.8, 0.0]]]), np.array([[[0.5, 0.25, 0.25]]])

    expected = 0.2 * np.log(0.2 / 0.5) + 0.8 * np.log(0.8 / 0.25)

    assert divergence(p, q)[0, 0] == pytest.approx(expected)


def test_wrong_certainty_costs_much_and_stays_finite():
    certain_dog = np.array([[[1.0, 0.0, 0.0]]])

    nats = divergence(np.array([[[0.2, 0.8, 0.0]]]), certain_dog)

    assert 10 < nats[0, 0] < np.inf


def test_exact_answers_score_zero_in_every_measure_of_nature():
    options = NatureOptions("nature", 1, 100, telling=0.02, blurry=0.2)
    held_out = generate_programmes(options, 100, np.random.default_rng(0))

    metrics = evaluate_nature(held_out, exact_posterior, {"same": exact_posterior})

    assert [metric.value for metric in metrics] == pytest.approx([0] * 4, abs=1e-12)
    assert all(metric.baselines["same"] == metric.value for metric in metrics)


def test_always_saying_the_prior_fails_to_recall_the_bear():
    options = NatureOptions("nature", 1, 100, telling=0.02, blurry=0.2)
    held_out = generate_programmes(options, 100, np.random.default_rng(0))
    prior = [0.80, 0.15, 0.05]

    blurry, everywhere, bear, neutral = evaluate_nature(
        held_out, lambda events: np.tile(prior, (*events.shape, 1)), {}
    )

    assert min(blurry.value, everywhere.value) > 0.05
    assert bear.value == pytest.approx(0.8 - 0.15)
    assert neutral.value == pytest.approx(0)
    assert LABELS[1] == "wolf"


def test_roommate_metrics_count_right_answers_and_the_least_sure_one():
    targets = np.array([[0, 1, 1, 2]])
    examples = Examples(np.zeros((1, 4), np.int32), targets, np.ones((1, 4)))
    held_out = HeldOutWeather(examples, np.array([0.2, 0.5, 0.3]))
    predicted = np.array([[[0.9, 0.1, 0], [0, 1, 0], [0.6, 0.4, 0], [0, 0, 1]]])

    accuracy, certainty = evaluate_roommate(held_out, lambda s: predicted, {})

    assert (accuracy.value, certainty.value) == (0.75, 0.6)
    assert accuracy.baselines == {"majority": 0.5}
    assert accuracy.better == certainty.better == "higher"


def test_majority_is_that_of_the_training_part():
    # Most held-out dinners are burgers; training has more apple pie.
    examples = Examples(np.zeros((1, 4)), np.array([[1, 1, 1, 0]]), np.ones((1, 4)))
    held_out = HeldOutWeather(examples, np.array([0.6, 0.4, 0.0]))

    accuracy, _ = evaluate_roommate(held_out, lambda s: np.ones((1, 4, 3)), {})

    assert accuracy.baselines == {"majority": 0.25}


def test_roommate_counts_dinners_of_the_training_part():
    options = RoommateOptions("roommate", 50, 7, 5, 9)

    shares = load_roommate(options, 1).held_out.shares

    dinners = cook(generate_weather(50, 7, (1, TRAIN_STREAM)))
    assert shares == pytest.approx(np.bincount(dinners.ravel(), minlength=3) / 350)


def test_source_without_an_evaluation_cannot_be_written_down():
    options, load, _ = SOURCES["nature"]

    with pytest.raises(TypeError, match="evaluate"):
        Source(options, load)
