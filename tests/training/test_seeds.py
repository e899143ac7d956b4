"""Figures over several seeds: mean and spread, counted by hand."""

from __future__ import annotations

import argparse

import pytest

from training.evaluate.metric import Metric
from training.fit_command import count_seeds
from training.html_report.page import list_spread
from training.seeds import gather_spread, list_seeds


def test_mean_and_deviation_are_those_of_a_sample():
    measured = {
        seed: [Metric("error", value, "nats"), Metric("right", 1 - value, "share")]
        for seed, value in ((1, 0.1), (2, 0.2), (3, 0.6))
    }

    error, right = gather_spread(measured)

    assert error.values == [0.1, 0.2, 0.6]
    assert error.mean == pytest.approx(0.3)
    assert error.deviation == pytest.approx((0.14 / 2) ** 0.5)
    assert (right.name, right.unit) == ("right", "share")
    (section,) = list_spread([error])
    row = ["error (nats)", "0.3", "0.2646", "0.1", "0.2", "0.6"]
    assert section.parts[0].rows == [row]


def test_a_figure_that_one_seed_lacks_is_left_out():
    measured = {1: [Metric("alarms", 1, "")], 2: [Metric("other", 1, "")]}

    assert gather_spread(measured) == []
    assert list_spread([]) == []


def test_seeds_follow_the_one_of_the_configuration():
    assert list_seeds(7, 3) == [7, 8, 9]
    assert list_seeds(2**32 - 1, 2) == [2**32 - 1, 0]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1001"])
def test_a_number_of_seeds_that_is_invalid_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number, 1"):
        count_seeds(text)
