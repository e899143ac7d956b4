"""Labels of cases and of events: what is asked, what leaks, what they are beside."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.dataset import Sequences
from training.data.event_options import EventOptions
from training.data.events import load_events
from training.errors import ConfigError, DataError
from training.evaluate.labels import evaluate_labels
from training.evaluate.nearest import MAX_ROWS, fit_nearest, thin_out
from training.evaluate.ngram import choose_ngram

HEADER = "case,event,time,label\n"


@pytest.fixture
def load(tmp_path):
    """Write rows and load them as a source."""

    def write_and_load(rows, form="csv", **options):
        path = tmp_path / f"log.{form}"
        lines = [",".join(map(str, row)) + "\n" for row in rows]
        path.write_text(HEADER + "".join(lines))
        named = {"case": "case", "event": "event", "label": "label", "split": "file"}
        named |= {"task": "label", **options}
        return load_events(EventOptions("events", str(path), **named), seed=1)

    return write_and_load


def cases(count, label=lambda case, k: "even" if case % 2 == 0 else "odd"):
    """Write cases of three events: a, then b or c by whether the case is odd, d."""
    return [
        (case, event, case * 10 + k, label(case, k))
        for case in range(count)
        for k, event in enumerate(["a", "bc"[case % 2], "d"])
    ]


def test_label_of_a_case_is_asked_at_every_event_of_it(load):
    data = load(cases(20))

    assert data.outputs["kind"] == "sequence_label"
    assert data.outputs["labels"] == ["even", "odd"]
    assert data.facts["label_of"] == "case"
    test = data.held_out.test
    assert test.targets.tolist() == [*[0] * 3, *[1] * 3] * 2
    assert test.weights.all()


def test_label_that_varies_inside_a_case_is_that_of_its_event(load):
    data = load(cases(20, label=lambda case, k: ["x", "y", ""][k]))

    assert data.outputs["kind"] == "label"
    assert data.facts["label_of"] == "event"
    assert data.held_out.test.targets.tolist() == [0, 1, 0] * 4
    assert data.held_out.test.weights.tolist() == [1, 1, 0] * 4


def test_case_labelled_in_one_row_has_that_label_throughout(load):
    data = load(
        cases(20, label=lambda case, k: ["", ["even", "odd"][case % 2]][k == 2])
    )

    assert data.facts["label_of"] == "case"
    assert data.held_out.test.targets.tolist() == [*[0] * 3, *[1] * 3] * 2


def test_label_of_a_case_that_is_cut_is_not_known_there(load):
    rows = cases(20)
    rows.append((0, "d", 175, "even"))  # case 0 lasts until after the test part begins
    data = load(rows, time="time", split="time")

    train = data.held_out.train
    assert train.lengths[0] == 3
    assert train.weights[:3].tolist() == [0, 0, 0]
    assert train.weights[3:].all()
    assert train.targets.max() < len(data.held_out.labels)  # or the loss has no row


@pytest.mark.parametrize(
    ("weight", "expected"),
    [("even", [1, 1, 1]), ("rising", [0.5, 1, 1.5]), ("last", [0, 0, 3])],
)
def test_label_weighs_by_position_in_training_and_validation_alone(
    load, weight, expected
):
    data = load(cases(20), label_weight=weight)

    drawn = data.draw_epoch(np.random.default_rng(1))
    for part in (drawn, data.validation):
        weights = part.weights.reshape(-1, 3)
        assert weights.tolist() == [expected] * len(weights)
        assert len(weights)
    assert data.held_out.train.weights.all()  # as baselines are fitted
    assert data.held_out.test.weights.all()


def test_last_label_of_a_case_is_the_last_that_is_known(load):
    rows = cases(20)
    rows.append((0, "d", 175, "even"))  # case 0 is cut, its label not known
    rows += [(1, "d", 20, "odd")]  # longer than the others
    data = load(rows, time="time", split="time", label_weight="last")

    drawn = data.draw_epoch(np.random.default_rng(1))

    assert drawn.weights[:7].tolist() == [0, 0, 0, 0, 0, 0, 4]
    assert drawn.weights.sum() == data.held_out.train.weights.sum()


def test_weights_by_position_of_several_heads_are_of_the_label_alone(load):
    data = load(cases(20), task="next event, label", label_weight="last")

    drawn = data.draw_epoch(np.random.default_rng(1))

    assert drawn.weights[:3].tolist() == [[1, 0], [1, 0], [1, 3]]


def test_where_the_last_event_is_learnt_its_answer_decides(load):
    def name_verdict(weight):
        data = load(cases(40), label_weight=weight)
        metrics = evaluate_labels(data.held_out, answer_evenly, {})
        return [metric.verdict for metric in metrics if metric.verdict]

    assert name_verdict("rising") == ["right labels"]
    assert name_verdict("last") == ["right labels after the last event of a case"]


def answer_evenly(sequences):
    return np.full((*sequences.shape[:2], 2), 0.5)


@pytest.mark.parametrize(
    ("task", "label", "sentence"),
    [
        ("label", lambda case, k: "xyz"[k], "so that each event has its own"),
        ("next event", None, "the task 'next event' learns no label"),
    ],
)
def test_weights_by_position_need_a_label_of_the_case(load, task, label, sentence):
    named = {"label": ""} if label is None else {}
    rows = cases(20, label) if label else cases(20)

    with pytest.raises(ConfigError, match=sentence):
        load(rows, task=task, label_weight="last", **named)


def test_labels_of_the_other_parts_decide_nothing(load):
    def poison(case, k):
        if case < 14:
            return "even" if case % 2 == 0 else "odd"
        return f"poison {k}"

    clean, dirty = load(cases(20)), load(cases(20, label=poison))

    assert clean.outputs == dirty.outputs
    epochs = (d.draw_epoch(np.random.default_rng(7)) for d in (clean, dirty))
    for a, b in zip(*epochs, strict=True):
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    assert dirty.facts["unknown_test_labels"] == 12
    assert not dirty.held_out.validation.weights.any()


def sure(position, size):
    return lambda sequences: np.broadcast_to(
        np.eye(size)[position] * 0.8 + 0.2 / size, (*sequences.shape, size)
    )


def test_label_that_training_does_not_have_is_never_right(load):
    data = load(cases(20, label=lambda c, k: "new" if c > 15 else "ab"[c % 2]))

    metrics = {m.name: m for m in evaluate_labels(data.held_out, sure(0, 2), {})}

    assert metrics["right labels"].value == 0
    assert metrics["right labels"].baselines["majority"] == 0
    # Squares of .9 and .1, and 1 for the label that nothing expects.
    assert metrics["Brier score"].value == pytest.approx(0.81 + 0.01 + 1)


def test_figures_are_those_counted_by_hand(load):
    data = load(cases(20))

    metrics = {m.name: m for m in evaluate_labels(data.held_out, sure(0, 2), {})}

    right = metrics["right labels"]
    assert right.value == 1 / 2
    assert right.verdict == "right labels"
    assert right.baselines["majority"] == 1 / 2
    # After a nothing is known, after b or c all is.
    (counting,) = (name for name in right.baselines if name.endswith("-gram"))
    assert right.baselines[counting] == pytest.approx(5 / 6)
    assert right.baselines["nearest prefix"] == pytest.approx(5 / 6)
    at_end = metrics["right labels after the last event of a case"]
    assert at_end.baselines["nearest prefix"] == 1
    assert metrics["right labels after 1 event"].baselines["nearest prefix"] == 1 / 2
    assert metrics["macro F1"].value == pytest.approx(1 / 3)
    assert metrics["expected calibration error"].value == pytest.approx(0.4)


def test_ngram_counts_labels_after_events_of_another_vocabulary(load):
    held_out = load(cases(40)).held_out

    ngram = choose_ngram(held_out.train, held_out.validation, 2, held_out.num_events)

    named = load(cases(40)).inputs["vocabulary"]
    b, c, d = (named.index(name) for name in "bcd")
    expected = ngram.predict(np.array([[0, b, d], [0, c, d]]))
    assert expected.shape == (2, 3, 2)
    assert expected.sum(axis=-1) == pytest.approx(1)
    assert expected[0, 1, 0] > 0.9
    assert expected[1, 1, 1] > 0.9


def test_nearest_prefix_looks_at_a_bounded_part_of_training():
    rows = 3 * MAX_ROWS
    events = np.zeros(rows, np.uint8)
    train = Sequences(events, events, events + 1, np.arange(0, rows + 1, 10))

    thin = thin_out(train)

    assert len(thin.inputs) <= MAX_ROWS
    assert thin.offsets[-1] == len(thin.inputs)
    assert fit_nearest(train, 1, 2)(np.zeros((1, 2), int)).tolist() == [[[1, 0]] * 2]


@pytest.mark.parametrize(
    ("label", "options", "sentence"),
    [
        (lambda c, k: "same", {}, "column label has only 'same' at the complete cases"),
        (lambda c, k: "", {}, "column label has no label at the complete cases"),
        (
            lambda c, k: "ab"[c % 2] if c < 16 else "",
            {},
            "no event of the test part has a label in column label",
        ),
        (lambda c, k: "ab"[c % 2], {"label": "labels"}, "label"),
    ],
)
def test_labels_that_teach_nothing_are_refused(load, label, options, sentence):
    with pytest.raises(DataError, match=sentence):
        load(cases(20, label=label), **options)


def test_task_and_column_of_labels_belong_together(load):
    with pytest.raises(ConfigError, match=r"data.label is missing; .*training inspect"):
        load(cases(20), label="")
    with pytest.raises(ConfigError, match="'next event' does not learn it"):
        load(cases(20), task="next event")


def test_nearest_prefix_looks_at_numbers():
    rng = np.random.default_rng(0)
    high = rng.integers(0, 2, 200)
    # Names and lengths say nothing; the mean of the second column says all.
    numbers = 1000 + 5 * (rng.normal(size=(200, 8)) + 4 * high[:, None])
    records = np.stack([np.zeros((200, 8)), numbers], axis=-1).astype(np.float32)
    records[3, 2, 1] = np.nan
    train = Sequences(
        records[:100].reshape(-1, 2),
        np.repeat(high[:100], 8),
        np.ones(800),
        np.arange(0, 801, 8),
    )

    blind = fit_nearest(train, 1, 2)(records[100:])[:, -1].argmax(axis=-1)
    seeing = fit_nearest(train, 1, 2, (1,))(records[100:])[:, -1].argmax(axis=-1)

    assert (seeing == high[100:]).mean() > 0.95
    assert (blind == high[100:]).mean() < 0.7
