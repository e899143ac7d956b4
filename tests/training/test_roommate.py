from __future__ import annotations

import numpy as np
import pytest

from training.data.roommate import LABELS, RoommateOptions, cook, load_roommate
from training.evaluate.roommate import evaluate_roommate

SUNNY, RAINY = 0, 1


def test_roommate_cooks_the_next_dish_on_rainy_days_only():
    week = [SUNNY, RAINY, RAINY, SUNNY, RAINY, SUNNY, RAINY]

    dinners = [LABELS[dish] for dish in cook(np.array([week]))[0]]

    assert dinners == [
        "apple pie",
        "burger",
        "chicken",
        "chicken",
        "apple pie",
        "apple pie",
        "burger",
    ]


def test_held_out_weather_is_as_long_as_asked():
    dataset = load_roommate(RoommateOptions("roommate", 10, 5, 7, 60), 0)

    examples = dataset.draw_epoch(np.random.default_rng(0))

    assert examples.sequences.shape == (10, 5)
    assert dataset.held_out.examples.sequences.shape == (7, 60)


@pytest.mark.parametrize(
    ("label", "kind", "asked"),
    [("every day", "label", 7), ("last day", "sequence_label", 1)],
)
def test_dinners_of_every_day_or_of_the_last_are_asked(label, kind, asked):
    options = RoommateOptions("roommate", 5, 7, 3, 7, label=label)

    dataset = load_roommate(options, 0)

    assert dataset.outputs["kind"] == kind
    for examples in (dataset.draw_epoch(None), dataset.held_out.examples):
        assert np.all(examples.weights.sum(axis=1) == asked)
        assert np.all(examples.weights[:, -1] == 1)


def test_only_what_was_asked_is_scored():
    options = RoommateOptions("roommate", 5, 7, 3, 7, label="last day")
    held_out = load_roommate(options, 0).held_out

    def predict(weather):
        # Right on the last day, wrong before.
        wrong = (cook(weather) + 1) % 3
        wrong[:, -1] = cook(weather)[:, -1]
        return np.eye(3)[wrong]

    accuracy, _ = evaluate_roommate(held_out, predict, {})

    assert accuracy.value == 1.0
