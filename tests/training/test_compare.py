"""Two versions in each other's words: names, categories, answers; who is better."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.report_pages import always
from training.compare import Side, compare, translate
from training.data.dataset import Sequences
from training.data.durations import HeldOutTimes
from training.data.heads import HeldOutEvents, HeldOutLabels
from training.data.series import HeldOutSeries
from training.errors import ConfigError
from training.evaluate.durations import evaluate_times
from training.evaluate.events import evaluate_events
from training.evaluate.labels import evaluate_labels
from training.evaluate.series import evaluate_series


def event_side(title, names, predict, unknown="[unknown]"):
    inputs = {"kind": "event", "vocabulary": list(names)}
    if unknown in names:
        inputs["unknown"] = unknown
    outputs = {"kind": "next_event", "name": "p", "labels": list(names)}
    return Side(title, inputs, outputs, predict)


def echo(size):
    """Expect the event that was sent, with 0.7, and all others alike."""

    def predict(sequences):
        shares = np.full((*sequences.shape, size), 0.3 / (size - 1))
        np.put_along_axis(shares, sequences[..., None], 0.7, axis=-1)
        return shares

    return predict


def test_an_older_version_is_asked_and_answers_by_name():
    older = event_side("old", ["b", "a", "[unknown]"], echo(3))
    newer = event_side("new", ["a", "b", "[unknown]"], echo(3))

    answers = translate(older, newer)(np.array([[0, 1, 2]]))

    assert answers[0].argmax(axis=-1).tolist() == [0, 1, 2]
    assert answers.sum(axis=-1) == pytest.approx(1)


def test_what_it_does_not_know_is_its_unknown_event():
    older = event_side("old", ["a", "[unknown]"], echo(2))
    newer = event_side("new", ["a", "c", "d", "[unknown]"], echo(4))

    answers = translate(older, newer)(np.array([[1, 0]]))

    # c is its unknown event: 0.7, shared by c, d and the unknown one.
    assert answers[0, 0] == pytest.approx([0.3, 0.7 / 3, 0.7 / 3, 0.7 / 3])
    assert answers[0, 1] == pytest.approx([0.7, 0.1, 0.1, 0.1])


def test_without_an_unknown_event_new_names_are_refused():
    older = event_side("t/1", ["a"], echo(2))
    newer = event_side("t/2", ["a", "c"], echo(2))

    with pytest.raises(ConfigError, match="t/1 does not know 'c' and has no unknown"):
        translate(older, newer)


def record_side(title, names, horizon=2, fields=("time", "value", "sky")):
    known = {
        "time": {"name": "time", "type": "time"},
        "value": {"name": "value", "type": "number", "mean": 0, "std": 1},
        "sky": {"name": "sky", "type": "category", "vocabulary": list(names)},
    }
    inputs = {"kind": "record", "fields": [known[name] for name in fields]}
    outputs = {"kind": "forecast", "name": "v", "horizon": horizon}
    return Side(title, inputs, outputs, lambda sequences: sequences)


def test_categories_of_records_are_translated_in_their_column():
    older, newer = (
        record_side("old", ["rain", "sun"]),
        record_side("new", ["sun", "rain"]),
    )
    records = np.array([[[10, 3600, 7.5, 0], [10, 7200, 8.5, 1]]], np.float32)

    answers = translate(older, newer)(records)

    assert answers[0, :, 3].tolist() == [1, 0]
    assert np.array_equal(answers[..., :3], records[..., :3])
    assert records[0, 0, 3] == 0  # what was given is as it was


@pytest.mark.parametrize(
    ("older", "part"),
    [
        (record_side("t/1", ["sun"], horizon=3), "horizon of t/1 is 3 and of t/2 2"),
        (record_side("t/1", ["sun"], fields=("time", "value")), "the same fields"),
        (event_side("t/1", ["a"], echo(2)), "t/1 takes event and t/2 time, value, sky"),
    ],
)
def test_versions_of_other_tasks_are_refused(older, part):
    with pytest.raises(ConfigError, match=part):
        translate(older, record_side("t/2", ["sun"]))


def held_out_events():
    """Fifty cases in which the second event is the first one again."""
    inputs = np.tile([0, 0, 1, 1], 25).astype(np.int32)
    part = Sequences(
        inputs, inputs, np.ones(len(inputs), np.uint8), np.arange(0, 101, 2)
    )
    return HeldOutEvents(part, part, part, ["a", "b"], None, None)


def test_the_better_one_is_named_with_both_figures():
    newer = event_side("t/2", ["a", "b"], echo(2))
    older = event_side("t/1", ["a", "b"], always(0.5, 0.5))

    better = compare(newer, older, held_out_events(), evaluate_events)
    worse = compare(older, newer, held_out_events(), evaluate_events)

    assert better.is_better
    assert better.sentence == (
        "t/2 is better than t/1: 0.3567 against 0.6931 nats per event"
    )
    assert not worse.is_better
    assert worse.sentence.startswith("t/1 is no better than t/2: 0.6931 against 0.3567")
    assert better.metrics[0].baselines["t/1"] == pytest.approx(np.log(2))


def test_the_same_network_again_is_no_better():
    one = event_side("t/2", ["a", "b"], echo(2))

    assert not compare(one, one, held_out_events(), evaluate_events).is_better


def test_a_gain_that_chance_explains_is_not_one():
    rng = np.random.default_rng(0)
    held_out = held_out_events()
    noise = rng.normal(0, 0.2, (50, 2))

    def noisy(sequences):
        shares = np.stack([0.5 + noise, 0.5 - noise], axis=-1)
        return shares[: len(sequences)]

    mean = compare(
        event_side("t/2", "ab", noisy),
        event_side("t/1", "ab", always(0.48, 0.52)),
        held_out,
        evaluate_events,
    )

    gain = mean.metrics[0].baselines["t/1"] - mean.metrics[0].value
    assert abs(gain) < 0.2
    assert not mean.is_better


def test_forecasts_are_compared_at_the_horizon():
    rows = np.arange(400)
    values = 10.0 + rows % 3
    sequence = np.stack([rows // 24, rows % 24 * 3600.0, values], axis=1)
    held_out = HeldOutSeries(sequence.astype(np.float32), values, 100, 1, {"three": 3})
    exact = np.append(values[1:], 0)[None, :, None]
    sides = [
        record_side(title, [], 1, ("time", "value"))._replace(predict=predict)
        for title, predict in (("t/2", lambda s: exact), ("t/1", lambda s: exact + 1))
    ]

    compared = compare(*sides, held_out, evaluate_series)

    assert compared.is_better
    assert compared.sentence == (
        "t/2 is better than t/1: 0.000 against 0.09091 WAPE 1 row ahead"
    )


def test_each_head_is_translated():
    heads = {"others": ["q"], "heads": [{"kind": "label", "name": "q", "labels": []}]}

    def side(title, names, labels):
        one = event_side(title, names, lambda s: {"p": echo(3)(s), "q": echo(2)(s)})
        outputs = {**one.outputs, **heads}
        outputs["heads"] = [{**heads["heads"][0], "labels": labels}]
        return one._replace(outputs=outputs)

    older, newer = side("old", "abc", ["x", "y"]), side("new", "abc", ["y", "x"])

    answers = translate(older, newer)(np.array([[0, 1]]))

    assert answers["p"][0].argmax(axis=-1).tolist() == [0, 1]
    assert answers["q"][0].argmax(axis=-1).tolist() == [1, 0]
    with pytest.raises(ConfigError, match="t/1 answers p and new p, q"):
        translate(event_side("t/1", "abc", echo(3)), newer)


@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), (0.1, 0.9)])
def test_quantiles_that_chance_explains_are_no_better(levels):
    rng = np.random.default_rng(0)
    values = 10.0 + rng.normal(0, 1, 2_000)
    rows = np.arange(2_000)
    sequence = np.stack([rows // 24, rows % 24 * 3600.0, values], axis=1)
    held_out = HeldOutSeries(
        sequence.astype(np.float32), values, 500, 1, {"three": 3}, levels
    )
    made = 10.0 + np.array([{0.1: -1.28, 0.5: 0.0, 0.9: 1.28}[q] for q in levels])
    flat = np.broadcast_to(made, (1, 2_000, 1, len(levels)))
    noise = rng.normal(0, 0.05, (1, 2_000, 1, 1))

    def against(newer, older):
        sides = [
            record_side(title, [], 1, ("time", "value"))._replace(
                predict=lambda s, made=made: made
            )
            for title, made in (("t/2", newer), ("t/1", older))
        ]
        return compare(*sides, held_out, evaluate_series)

    by_chance = [
        against(flat + noise, flat - noise),
        against(flat - noise, flat + noise),
    ]
    assert not any(one.is_better for one in by_chance)
    gains = [m.gain_over(m.baselines["t/1"]) for one in by_chance for m in one.metrics]
    assert max(gains) > 0  # one of the two is ahead
    assert against(flat, flat + 2).is_better


def test_times_that_chance_explains_are_no_better():
    rng = np.random.default_rng(0)
    targets = rng.normal(500, 50, 400)
    part = Sequences(
        np.zeros(400, np.int32), targets, np.ones(400, np.uint8), np.arange(0, 401, 2)
    )
    held_out = HeldOutTimes(part, part, part, "remaining time", (0.1, 0.5, 0.9))
    schema = {"kind": "duration", "name": "s", "quantiles": [0.1, 0.5, 0.9]}
    noise = rng.normal(0, 10, (200, 2, 1))

    def side(title, made):
        one = event_side(title, "a", lambda s: made[: len(s)])
        return one._replace(outputs=schema)

    middle = np.broadcast_to([400.0, 500.0, 600.0], (200, 2, 3))
    one, other = side("t/2", middle + noise), side("t/1", middle - noise)

    assert not compare(one, other, held_out, evaluate_times).is_better
    assert not compare(other, one, held_out, evaluate_times).is_better
    far = side("t/1", middle + 200)
    assert compare(one, far, held_out, evaluate_times).is_better


@pytest.mark.parametrize(
    ("weight", "how"), [("even", "better than"), ("last", "no better than")]
)
def test_where_the_last_event_is_learnt_earlier_answers_gain_nothing(weight, how):
    """The newer one is right after each event, the older one after the last alone."""
    count = 60
    cases = Sequences(
        np.tile(np.array([0, 1, 2], np.int32), count),
        np.repeat(np.arange(count) % 2, 3),
        np.ones(3 * count, np.uint8),
        np.arange(0, 3 * count + 1, 3),
    )
    held_out = HeldOutLabels(
        cases, cases, cases, ["even", "odd"], 3, of_case=True, label_weight=weight
    )
    inputs = {"kind": "event", "vocabulary": ["a", "b", "c"]}
    outputs = {"kind": "sequence_label", "name": "p", "labels": ["even", "odd"]}

    def answer(early):
        def predict(sequences):
            is_odd = np.arange(len(sequences)) % 2  # as the rows of one call are
            shares = np.full((*sequences.shape, 2), 0.5)
            for place, sure in enumerate((early, early, 0.9)):
                shares[:, place, 0] = np.where(is_odd, 1 - sure, sure)
                shares[:, place, 1] = np.where(is_odd, sure, 1 - sure)
            return shares

        return predict

    older = Side("old/1", inputs, outputs, answer(0.1))
    newer = Side("old/2", inputs, outputs, answer(0.9))
    found = compare(newer, older, held_out, evaluate_labels)

    assert found.sentence.startswith(f"old/2 is {how} old/1")
    assert found.is_better is (how == "better than")
