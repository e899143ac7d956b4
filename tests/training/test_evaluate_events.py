"""Figures of next events beside ones counted by hand, and thresholds on surprise."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.dataset import Sequences
from training.data.heads import HeldOutEvents
from training.evaluate.alarms import find_threshold
from training.evaluate.events import evaluate_events

LABELS = [f"event {k}" for k in range(6)] + ["[unknown]", "[end]"]
UNKNOWN, END = 6, 7


def pack(targets, *, length):
    """Make cases of equal length in which the last target is the end."""
    targets = np.asarray(targets, np.uint8)
    inputs = np.zeros(len(targets), np.uint8)
    offsets = np.arange(0, len(targets) + 1, length)
    return Sequences(inputs, targets, np.ones(len(targets), np.uint8), offsets)


def hold_out(test, validation=None, *, length=4):
    train = pack([1, 2, 3, END] * 10, length=4)
    return HeldOutEvents(
        train,
        pack(validation if validation is not None else [1, 2, 3, END], length=length),
        pack(test, length=length),
        LABELS,
        END,
        UNKNOWN,
    )


def always(shares):
    return lambda sequences: np.broadcast_to(shares, (*sequences.shape, len(LABELS)))


def measure(held_out, shares):
    return {m.name: m for m in evaluate_events(held_out, always(shares), {})}


def test_figures_are_those_counted_by_hand():
    shares = np.array([0.4, 0.3, 0.2, 0.02, 0.02, 0.02, 0.02, 0.02])

    metrics = measure(hold_out([0, 1, 4, END] * 5), shares)

    values = {name: metric.value for name, metric in metrics.items()}
    assert values["right next events"] == pytest.approx(1 / 4)
    assert values["right next events, ends left out"] == pytest.approx(1 / 3)
    assert values["next event among the 3 most probable"] == pytest.approx(2 / 4)
    assert values["surprise per event"] == pytest.approx(
        -np.log(shares[[0, 1, 4, END]]).mean()
    )
    assert values["expected calibration error"] == pytest.approx(0.4 - 1 / 4)
    assert "next event among the 10 most probable" not in values
    # 0 comes 5 times of 20, and is expected 20 times: F1 is 2 * 5 / 25; of 4 labels.
    assert values["macro F1"] == pytest.approx(2 * 5 / 25 / 4)
    squares = np.square(shares).sum()
    assert values["Brier score"] == pytest.approx(
        np.mean([squares - 2 * shares[k] + 1 for k in (0, 1, 4, END)])
    )


def test_surprise_is_measured_by_the_number_of_events_known():
    shares = np.array([0.4, 0.3, 0.2, 0.02, 0.02, 0.02, 0.02, 0.02])

    metrics = measure(hold_out([0, 1, 4, END] * 5), shares)

    by_known = {
        name.removeprefix("surprise after "): metric
        for name, metric in metrics.items()
        if name.startswith("surprise after ")
    }
    assert list(by_known) == ["1 event", "2 events", "3 to 4 events"]
    assert by_known["1 event"].value == pytest.approx(-np.log(0.4))
    assert by_known["2 events"].value == pytest.approx(-np.log(0.3))
    assert by_known["3 to 4 events"].value == pytest.approx(
        -np.log([0.02, 0.02]).mean()
    )
    assert all("most frequent" in metric.baselines for metric in by_known.values())
    assert not any(metric.verdict for metric in by_known.values())


def test_unknown_event_is_never_right_however_probable():
    shares = np.full(8, 0.01)
    shares[UNKNOWN] = 0.93

    metrics = measure(hold_out([UNKNOWN] * 8), shares)

    assert metrics["right next events"].value == 0
    assert metrics["next event among the 3 most probable"].value == 0
    assert metrics["expected calibration error"].value == pytest.approx(0.93)


def test_equal_probabilities_say_the_first_label():
    metrics = measure(hold_out([0, 0, 1, 2]), np.full(8, 1 / 8))

    assert metrics["right next events"].value == 1 / 2


def test_alarms_on_the_test_part_follow_the_threshold_of_validation():
    # Surprise is the greater the later an event is in the list of labels.
    shares = np.array([0.5, 0.25, 0.1, 0.06, 0.04, 0.03, 0.01, 0.01])
    validation = [0] * 960 + [4] * 30 + [5] * 10
    test = [0] * 900 + [5] * 80 + [END] * 20

    metrics = measure(hold_out(test, validation, length=10), shares)

    alarms = {name: m for name, m in metrics.items() if name.startswith("alarms")}
    assert list(alarms) == [
        "alarms over a surprise of 0.6931 nats, 5.0% of validation",
        "alarms over a surprise of 3.219 nats, 1.0% of validation",
        "alarms over a surprise of 3.507 nats, 0.1% of validation",
    ]
    # Ends do not arrive: 80 of 980 events are over what 1% of validation is over.
    assert [m.value for m in alarms.values()] == pytest.approx([80 / 980] * 2 + [0])
    assert {m.better for m in alarms.values()} == {"nominal"}


@pytest.mark.parametrize("share", [0.05, 0.01, 0.001])
def test_threshold_gives_its_share_of_alarms(share):
    surprise = np.random.default_rng(0).exponential(1, 10_000)

    threshold = find_threshold(surprise, share)

    assert (surprise > threshold).sum() == round(share * 10_000)


def test_without_validation_there_are_no_thresholds():
    held_out = hold_out([0, 1, 2, END])
    nothing = held_out.validation._replace(weights=np.zeros(4, np.uint8))

    metrics = measure(held_out._replace(validation=nothing), np.full(8, 1 / 8))

    assert not [name for name in metrics if name.startswith("alarms")]
