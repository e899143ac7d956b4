from __future__ import annotations

import numpy as np

from training.data.roommate import LABELS, RoommateOptions, cook, load_roommate

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
    assert dataset.held_out.sequences.shape == (7, 60)
