"""Learning rates: what each schedule gives at which update."""

from __future__ import annotations

import dataclasses
import math

import pytest

from training.schedules import find_rate
from training.training_section import TrainingConfig

TRAINING = TrainingConfig(epochs=10, batch_size=4, learning_rate=0.1)


def rates(*shares, **keys):
    training = dataclasses.replace(TRAINING, **keys)
    return [find_rate(training, done) for done in shares]


def test_cosine_falls_from_full_to_nothing():
    assert rates(0, 0.5, 1) == pytest.approx([0.1, 0.05, 0])


def test_default_rates_have_the_bits_of_the_plain_cosine():
    shares = [k / 97 for k in range(97)]

    expected = [0.1 * (1 + math.cos(math.pi * done)) / 2 for done in shares]

    assert rates(*shares) == expected


def test_constant_stays():
    assert rates(0, 0.3, 0.99, schedule="constant") == [0.1] * 3


def test_warm_up_rises_evenly_then_the_schedule_begins():
    warm = {"warmup_epochs": 2}

    assert rates(0, 0.1, 0.2, 0.9, schedule="constant", **warm) == pytest.approx(
        [0, 0.05, 0.1, 0.1]
    )
    # Epochs 2 to 10 are the cosine's: epoch 6 is its middle.
    assert rates(0.2, 0.6, 1, **warm) == pytest.approx([0.1, 0.05, 0])


def test_step_falls_at_once_every_few_epochs():
    falling = {"schedule": "step", "decay_epochs": 3, "decay_rate": 0.5}

    got = rates(0, 0.29, 0.3, 0.59, 0.6, 0.9, **falling)

    assert got == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.0125])


@pytest.mark.parametrize("epochs", [30, 49, 98])
def test_step_falls_at_the_first_update_of_an_epoch(epochs):
    keys = {"epochs": epochs, "schedule": "step", "decay_epochs": 1, "decay_rate": 0.5}
    training = dataclasses.replace(TRAINING, **keys)

    # 1 / 49 * 49 is less than 1.
    rates = [find_rate(training, epoch / epochs) for epoch in range(epochs)]

    assert rates == pytest.approx([0.1 * 0.5**epoch for epoch in range(epochs)])


def test_exponential_falls_at_every_update_by_a_tenth_where_nothing_is_set():
    got = rates(0, 0.25, 0.5, schedule="exponential", decay_epochs=5)

    assert got == pytest.approx([0.1, 0.1 * 10**-0.5, 0.01])


def test_decay_counts_from_the_end_of_the_warm_up():
    keys = {"schedule": "step", "decay_epochs": 2, "warmup_epochs": 1}

    assert rates(0.29, 0.3, **keys) == pytest.approx([0.1, 0.01])
