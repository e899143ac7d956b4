from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.guesses import BLOCK, find_margin, measure_calibration
from training.evaluate.metric import Metric
from training.verdict import judge


def surprise(value, ngram, margin=0.01):
    return Metric(
        "surprise per event",
        value,
        "nats",
        {"most frequent": 2.5, "3-gram": ngram},
        verdict="nats per event",
        margin=margin,
    )


def right(value, ngram, margin=0.001):
    return Metric(
        "right next events",
        value,
        "share",
        {"3-gram": ngram},
        "higher",
        "right next events",
        margin,
    )


@pytest.mark.parametrize(
    ("metrics", "sentence", "is_worth_it"),
    [
        (
            [surprise(1.174, 1.243), right(0.676, 0.6716)],
            "LSTM 1.174 nats per event, 3-gram 1.243: worth it",
            True,
        ),
        (
            [surprise(1.24, 1.243)],
            "counting does as well: 1.243 nats per event (3-gram) against 1.240 (LSTM)",
            False,
        ),
        (
            [surprise(1.3, 1.243)],
            "counting does better: 1.243 nats per event (3-gram) against 1.300 (LSTM)",
            False,
        ),
        (
            [surprise(1.39, 1.43), right(0.5739, 0.5741)],
            "LSTM 1.390 nats per event, 3-gram 1.430: worth it; but counting does as "
            "well: 0.5741 right next events (3-gram) against 0.5739 (LSTM)",
            True,
        ),
        (
            [right(0.5739, 0.5741)],
            "counting does as well: 0.5741 right next events (3-gram) against 0.5739 "
            "(LSTM)",
            False,
        ),
        (
            [Metric("e", 0.2, "", {"last week": 0.1}, verdict="WAPE 5 rows ahead")],
            "last week does better: 0.1000 WAPE 5 rows ahead (last week) against "
            "0.2000 (LSTM)",
            False,
        ),
        ([Metric("e", 0.2, "")], "LSTM without a baseline to compare with", True),
    ],
)
def test_verdict_says_whether_the_network_beats_its_best_baseline(
    metrics, sentence, is_worth_it
):
    assert judge(metrics, "lstm") == (sentence, is_worth_it)


def test_equal_figures_are_not_worth_a_network():
    assert not judge([surprise(1.0, 1.0, margin=0.0)], "gru").is_worth_it


def test_baseline_that_is_no_number_is_not_the_best():
    metric = Metric("e", 0.2, "", {"a": float("nan"), "b": 0.3}, verdict="error")

    assert metric.find_best() == ("b", 0.3)
    assert Metric("e", 0.2, "", {"a": float("nan")}).find_best() is None


def test_chance_exceeds_the_margin_in_one_of_twenty_cases():
    differences = np.random.default_rng(0).normal(0.1, 1, 10_000)

    margin = find_margin(differences, np.arange(10_000))

    assert margin == pytest.approx(1.645 / np.sqrt(10_000), rel=0.05)


def test_margin_counts_cases_where_their_events_are_alike():
    differences = np.repeat(np.random.default_rng(0).normal(0, 1, 100), BLOCK)

    alike = find_margin(differences, np.repeat(np.arange(100), BLOCK))
    alone = find_margin(differences, np.arange(len(differences)))

    assert alike == pytest.approx(10 * alone, rel=0.01)


def test_margin_of_a_single_case_is_not_known():
    assert find_margin(np.array([0.1, 0.2]), np.array([7, 7])) == 0


def test_calibration_error_is_the_distance_of_confidence_and_share():
    confidence = np.repeat([0.9, 0.5], 100)
    right = np.concatenate([np.arange(100) < 70, np.arange(100) < 50])

    assert measure_calibration(confidence, right) == pytest.approx(0.2 / 2)
