"""Cases to sequences: what is asked at each event, what is unknown, what leaks."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.dataset import Sequences
from training.data.event_options import EventOptions
from training.data.events import load_events
from training.errors import ConfigError, DataError
from training.evaluate.events import evaluate_events, expect_shares
from training.evaluate.ngram import fit_ngram

HEADER = "case,event,time\n"


@pytest.fixture
def load(tmp_path):
    """Write a CSV file and load it as a source."""

    def write_and_load(content, **options):
        path = tmp_path / "log.csv"
        path.write_text(content)
        named = {"case": "case", "event": "event", "split": "file", **options}
        return load_events(EventOptions("events", str(path), **named), seed=1)

    return write_and_load


def short_cases(count, events="ab"):
    """Write cases of the same events, one after another in time."""
    rows = [
        f"{case},{event},{case * 10 + k}\n"
        for case in range(count)
        for k, event in enumerate(events)
    ]
    return HEADER + "".join(rows)


def test_every_event_is_asked_for_the_next_and_the_last_for_the_end(load):
    data = load(short_cases(10, "aab"), unknown=False)

    assert data.inputs == {"kind": "event", "vocabulary": ["a", "b"]}
    assert data.outputs["labels"] == ["a", "b", "[end]"]
    assert data.outputs["end"] == "[end]"
    train = data.held_out.train
    assert train.inputs[:3].tolist() == [0, 0, 1]
    assert train.targets[:3].tolist() == [0, 1, 2]
    assert train.weights.all()
    assert train.lengths.tolist() == [3] * 7


def test_one_column_is_not_case_and_event_at_once(load):
    with pytest.raises(ConfigError, match="are both 'case'; expected two"):
        load(short_cases(10), event="case")


def test_numbers_that_float32_makes_equal_are_refused(load):
    rows = [f"{c},{e},{1.7e9 + c % 3}\n" for c in range(20) for e in "ab"]

    with pytest.raises(DataError, match=r"data.numbers n changes by .* 128 apart"):
        load("case,event,n\n" + "".join(rows), numbers=("n",))


def test_columns_of_plain_text_are_refused(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(short_cases(20))

    for named in ({"case": "case", "event": "event"}, {"time": "time"}):
        with pytest.raises(ConfigError, match=r"is plain text by its name.*to \.csv"):
            load_events(EventOptions("events", str(path), **named), seed=1)


def test_a_time_that_no_event_has_is_refused(load):
    with pytest.raises(DataError, match="no event of the training part has a next"):
        load(short_cases(20, "a"), time="time", task="next time")


def test_without_an_end_the_last_event_is_not_asked(load):
    data = load(short_cases(10, "ab"), end=False)

    assert "end" not in data.outputs
    assert data.held_out.test.weights[:2].tolist() == [1, 0]


def test_a_case_that_is_cut_has_no_end_there(load):
    content = HEADER + "".join(
        f"{case},{event},{case + 500 * k}\n"
        for case in range(10)
        for k, event in enumerate("ab")
    )
    data = load(content + "0,a,1\n", time="time", split="time")

    assert data.held_out.train.lengths.tolist() == [2, *[1] * 6]
    assert data.held_out.train.weights.tolist() == [1, *[0] * 7]
    assert not data.held_out.validation.weights.any()


def test_cases_of_one_event_are_learnt_where_they_end(load):
    data = load(short_cases(10, "a"))

    assert (data.held_out.train.targets == data.held_out.end).all()
    with pytest.raises(DataError, match="no event of the train part follows another"):
        load(short_cases(10, "a"), end=False)


def test_markers_are_no_events_of_the_log(load):
    data = load(
        HEADER
        + "".join(
            f"{c},[end],{c}\n{c},[unknown],{c}\n{c},[[end]],{c}\n" for c in range(9)
        )
    )

    assert data.outputs["end"] == "[[[end]]]"
    assert data.inputs["unknown"] == "[[unknown]]"
    assert data.held_out.train.targets[0] != data.held_out.end


def test_events_that_training_has_not_seen_are_the_unknown_one(load):
    content = short_cases(9) + "9,new,90\n9,b,91\n"
    data = load(content)

    assert data.inputs["vocabulary"] == ["a", "b", "[unknown]"]
    assert data.held_out.test.inputs[-2:].tolist() == [2, 1]
    assert data.facts["unknown_test_events"] == 0  # a first event is never a target
    with pytest.raises(DataError, match="event 'new' is not in the training part"):
        load(content, unknown=False)


def test_events_that_occur_once_may_be_unknown(load):
    content = "0,rare,0\n".join([HEADER, short_cases(9).removeprefix(HEADER)])

    assert "rare" in load(content).inputs["vocabulary"]
    assert "rare" not in load(content, min_count=2).inputs["vocabulary"]
    with pytest.raises(DataError, match="no event is there 100 times"):
        load(content, min_count=100)


def test_rare_events_are_hidden_oftener_and_their_target_too(load):
    data = load("0,rare,0\n".join([HEADER, short_cases(90).removeprefix(HEADER)]))
    rare = data.inputs["vocabulary"].index("rare")
    unknown = data.held_out.unknown

    epochs = [data.draw_epoch(np.random.default_rng(k)) for k in range(200)]

    hidden = [epoch.inputs[0] == unknown for epoch in epochs]
    assert 0.1 < np.mean(hidden) < 0.35  # 0.25 / 1.25 of an event that was seen once
    assert all(epoch.inputs[0] in (rare, unknown) for epoch in epochs)
    for epoch in epochs:
        follows = ~np.isin(np.arange(len(epoch.inputs)), epoch.offsets[:-1])
        assert (epoch.inputs[follows] == epoch.targets[:-1][follows[1:]]).all()


def test_same_generator_hides_the_same_events(load):
    data = load(short_cases(50))

    first, second = (data.draw_epoch(np.random.default_rng(5)) for _ in range(2))

    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_long_case_is_not_padded_onto_short_ones(load):
    rows = "".join(f"long,e{k % 7},{k}\n" for k in range(10_000))
    data = load(HEADER + rows + short_cases(20).removeprefix(HEADER), window=100)

    epoch = data.draw_epoch(np.random.default_rng(0))

    assert epoch.lengths.max() == 100
    assert len(epoch.inputs) == data.facts["train_events"]


@pytest.mark.parametrize("split", ["time", "events", "file"])
def test_poison_in_other_parts_changes_no_byte_of_training(load, split):
    rng = np.random.default_rng(0)
    rows = [
        [f"{case}", f"e{rng.integers(5)}", case * 10 + k]
        for case in range(60)
        for k in range(rng.integers(1, 30))
    ]
    write = lambda rows: HEADER + "".join(f"{c},{e},{t}\n" for c, e, t in rows)  # noqa: E731
    options = {"time": "time", "split": split}
    clean = load(write(rows), **options)
    facts = clean.facts
    first = facts.get("validation_from")
    bound = np.datetime64(first).astype("datetime64[s]").astype(int) if first else None
    is_train = (lambda row: row[2] < bound) if first else (lambda row: int(row[0]) < 42)
    poisoned = [row if is_train(row) else [row[0], "[poison]", row[2]] for row in rows]
    assert 0 < sum(row[1] == "[poison]" for row in poisoned) < len(rows)

    dirty = load(write(poisoned), **options)

    assert clean.inputs == dirty.inputs
    assert clean.outputs == dirty.outputs
    assert clean.real.tobytes() == dirty.real.tobytes()
    epochs = (data.draw_epoch(np.random.default_rng(7)) for data in (clean, dirty))
    for a, b in zip(*epochs, strict=True):
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    for count in (expect_shares, count_triples):
        a, b = (count(data.held_out)(clean.real) for data in (clean, dirty))
        assert a.tobytes() == b.tobytes()
    assert clean.held_out.test.inputs.tobytes() != dirty.held_out.test.inputs.tobytes()


def test_sequences_become_batches_padded_to_their_own_longest():
    flat = np.arange(6, dtype=np.uint8)
    sequences = Sequences(flat, flat + 10, np.ones(6, np.uint8), np.array([0, 1, 4, 6]))

    batch = sequences.take(np.array([2, 0]))

    assert batch.sequences.tolist() == [[4, 5], [0, 0]]
    assert batch.targets.tolist() == [[14, 15], [10, 0]]
    assert batch.weights.tolist() == [[1, 1], [1, 0]]
    assert batch.sequences.dtype == batch.targets.dtype == np.int32
    assert sequences.cut(2).offsets.tolist() == [0, 1, 3, 4, 6]


def count_triples(held_out):
    """Expect what training has after the last two events."""
    return fit_ngram(held_out.train, len(held_out.labels), 3).predict


def test_figures_are_those_of_the_test_part(load):
    data = load(short_cases(20, "aab"))

    by_last, by_end = {}, {}
    pairs = fit_ngram(data.held_out.train, len(data.held_out.labels), 2)
    for metric in evaluate_events(data.held_out, pairs.predict, {}):
        by_last[metric.name] = metric.value
        by_end[metric.name] = metric.baselines

    # After an a comes a or b, equally often; after b the end.
    assert by_last["right next events"] == pytest.approx(2 / 3)
    assert by_last["right next events, ends left out"] == pytest.approx(1 / 2)
    assert by_last["surprise per event"] == pytest.approx(np.log(2) * 2 / 3, abs=0.05)
    assert by_end["right next events"]["most frequent"] == pytest.approx(1 / 3)
    assert by_end["surprise per event"]["most frequent"] == pytest.approx(
        np.log(3), abs=0.05
    )


def test_unknown_events_are_never_right(load):
    content = short_cases(8) + "8,a,80\n8,new,81\n9,a,90\n9,new,91\n"
    data = load(content)
    sure = lambda sequences: np.eye(4)[np.full(sequences.shape, 2)]  # noqa: E731

    metrics = {m.name: m.value for m in evaluate_events(data.held_out, sure, {})}

    assert data.facts["unknown_test_events"] == 2
    assert metrics["right next events"] == 0


def test_hiding_leaves_events_alone_where_nothing_is_unknown(load):
    data = load(short_cases(10), unknown=False)

    epoch = data.draw_epoch(np.random.default_rng(0))

    assert epoch.inputs is data.held_out.train.inputs


def test_label_that_would_not_be_learnt_is_refused(load):
    with pytest.raises(ConfigError, match="'next event' does not learn it"):
        load(short_cases(10), label="time")


def test_missing_role_is_refused_with_what_shows_the_columns(load):
    with pytest.raises(ConfigError, match="training inspect"):
        load(HEADER, case="")
