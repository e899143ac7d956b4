"""Times until something happens: what is asked, what is not known, what is beside."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.durations import HeldOutTimes
from training.data.event_options import EventOptions
from training.data.events import load_events
from training.data.tasks import parse_tasks
from training.errors import ConfigError, DataError
from training.evaluate.durations import evaluate_times
from training.evaluate.tasks import evaluate_tasks

HEADER = "case,event,time,label\n"


@pytest.fixture
def load(tmp_path):
    """Write rows and load them as a source."""

    def write_and_load(rows, **options):
        path = tmp_path / "log.csv"
        lines = [",".join(map(str, row)) + "\n" for row in rows]
        path.write_text(HEADER + "".join(lines))
        named = {"case": "case", "event": "event", "time": "time", "split": "file"}
        named |= {"task": "remaining", **options}
        return load_events(EventOptions("events", str(path), **named), seed=1)

    return write_and_load


def cases(count):
    """Write cases of a, then b or c, then d: after b a minute, after c an hour."""
    wait = [60, 3600]
    return [
        (case, event, 100_000 * case + seconds, "xy"[case % 2])
        for case in range(count)
        for event, seconds in [
            ("a", 0),
            ("bc"[case % 2], 30),
            ("d", 30 + wait[case % 2]),
        ]
    ]


def test_time_until_the_next_event_and_the_end_is_asked_at_every_event(load):
    remaining = load(cases(20)).held_out.train
    following = load(cases(20), task="time").held_out.train

    assert remaining.targets[:6].tolist() == [90, 60, 0, 3630, 3600, 0]
    assert remaining.weights.all()
    assert following.targets[:6].tolist() == [30, 60, 0, 30, 3600, 0]
    assert following.weights[:6].tolist() == [1, 1, 0, 1, 1, 0]


def test_scale_is_that_of_logarithms_of_the_training_part(load):
    data = load(cases(20))

    logs = np.log1p([90, 60, 0, 3630, 3600, 0])
    assert data.outputs["mean"] == pytest.approx(logs.mean())
    assert data.outputs["std"] == pytest.approx(logs.std())
    assert data.outputs["name"] == "remaining_seconds"
    assert [f["name"] for f in data.inputs["fields"]] == ["event", "time"]


def test_remaining_time_of_a_case_that_is_cut_is_not_known(load):
    rows = [*cases(20), (0, "d", 1_750_000, "x")]

    remaining = load(rows, split="time").held_out.train
    following = load(rows, split="time", task="time").held_out.train

    assert remaining.lengths[0] == following.lengths[0] == 3
    assert remaining.weights[:4].tolist() == [0, 0, 0, 1]
    assert following.weights[:4].tolist() == [1, 1, 0, 1]


def test_several_tasks_have_one_sequence_and_a_target_each(load):
    data = load(cases(20), task="remaining, label,next", label="label")

    assert data.outputs["name"] == "probabilities"
    assert data.outputs["kind"] == "next_event"
    assert data.outputs["others"] == ["label_probabilities", "remaining_seconds"]
    assert data.outputs["quantiles"] == [0.1, 0.5, 0.9]
    epoch = data.draw_epoch(np.random.default_rng(0))
    assert epoch.targets.shape == epoch.weights.shape == (42, 3)
    assert epoch.targets[:3, 2].tolist() == [90, 60, 0]
    batch = epoch.take(np.array([0, 1]))
    assert batch.targets.shape == batch.weights.shape == (2, 3, 3)


def test_several_tasks_are_measured_each_by_its_own_figures(load):
    data = load(cases(20), task="next,label,remaining", label="label")
    shares = {"probabilities": 6, "label_probabilities": 2, "remaining_seconds": 3}

    def predict(sequences):
        return {
            name: np.full((*sequences.shape[:2], size), 1 / size)
            for name, size in shares.items()
        }

    names = [metric.name for metric in evaluate_tasks(data.held_out, predict, {})]

    assert names[0] == "surprise per event"
    assert "label_probabilities: macro F1" in names
    assert "mean error of the remaining time" in names
    assert len(set(names)) == len(names)


def test_figures_are_those_counted_by_hand(load):
    held_out = load(cases(20)).held_out
    predict = lambda s: np.broadcast_to([0.0, 60.0, 4000.0], (*s.shape[:2], 3))  # noqa: E731

    metrics = {m.name: m for m in evaluate_times(held_out, predict, {})}

    error = metrics["mean error of the remaining time"]
    assert error.unit == "minutes"
    assert error.verdict == "minutes off the remaining time"
    apart = np.abs(np.array([90, 60, 0, 3630, 3600, 0]) - 60)
    assert error.value == pytest.approx(apart.mean() / 60)
    # After b and c and d the time is known; after a it is one of two.
    by_event = error.baselines["median after this event"]
    assert by_event == pytest.approx((3630 - 90) / 2 / 3 / 60)
    assert by_event < error.baselines["median at the same position"]
    assert metrics["times up to quantile 0.1 of the remaining time"].value == 1 / 3
    assert metrics["times up to quantile 0.9 of the remaining time"].value == 1
    late = metrics["mean error of the remaining time after 3 to 4 events"]
    assert late.value == 1
    levels, e = np.array([0.1, 0.5, 0.9]), apart.reshape(-1, 1)
    e = np.array([90, 60, 0, 3630, 3600, 0])[:, None] - [0, 60, 4000]
    pinball = np.maximum(levels * e, (levels - 1) * e).mean() / 60
    loss = metrics["pinball loss of the remaining time"].value
    assert loss == pytest.approx(pinball)


def test_events_that_training_has_not_seen_have_an_expectation_too(load):
    held_out = load([*cases(19), (19, "new", 2_000_000, "x")]).held_out
    assert isinstance(held_out, HeldOutTimes)

    metrics = evaluate_times(held_out, lambda s: np.ones((*s.shape[:2], 3)), {})

    assert all(np.isfinite(list(m.baselines.values())).all() for m in metrics)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"time": ""},
            "data.time is missing; expected the column of times",
        ),
        ({"quantiles": (0.1, 0.9)}, "expected the median, 0.5, among them"),
    ],
)
def test_tasks_of_time_without_what_they_need_are_refused(load, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load(cases(20), **options)


def test_times_that_teach_nothing_are_refused(load):
    equal = [(case, event, case, "x") for case in range(20) for event in "ab"]

    with pytest.raises(DataError, match="the remaining time is the same at all 28"):
        load(equal)


def test_short_names_of_tasks_are_taken_in_any_order():
    assert parse_tasks("remaining, next") == ["next event", "remaining time"]
    assert parse_tasks("next event") == ["next event"]
