"""Gradient boosting beside networks: on the training part alone, bounded, optional."""

import gc
import sys
import weakref

import numpy as np
import pytest

from training.data.event_options import EventOptions
from training.data.events import load_events
from training.data.heads import HeldOutHeads
from training.data.series import HeldOutSeries, SeriesOptions, load_series
from training.evaluate.boosting import model as boosting
from training.evaluate.boosting.features import describe
from training.evaluate.boosting.series import boost_series
from training.evaluate.series import evaluate_series
from training.evaluate.tasks import evaluate_tasks

NAME = boosting.NAME
ROLES = {"case": "case", "event": "event", "time": "time", "split": "file"}
HEADER = "case,event,time,amount,team,label\n"


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip(
        "sklearn",
        reason="not installed: pip install -r requirements-boosting.txt",
    )


def write_log(folder, cases=200, *, spoil_after=None):
    """Write cases in which the amount, not the events, decides what comes next."""
    rng = np.random.default_rng(1)
    lines, hours, following = [HEADER], 0.0, ""
    for case in range(cases):
        for place in range(6):
            amount = rng.uniform(0, 10)
            wait = (1 if amount < 5 else 20) * rng.uniform(0.9, 1.1)
            team = ("north", "south")[case % 2]
            event = "abc"[place % 3] if place == 0 else following
            following = "low" if amount < 5 else "high"
            label = "yes" if amount < 5 else "no"
            if spoil_after is not None and case >= spoil_after:
                event, amount, team = "abc"[int(rng.integers(3))], -amount, "west"
            stamp = np.datetime64("2024-01-01T00:00:00") + int(hours * 3600)
            lines.append(f"{case},{event},{stamp},{amount:.3f},{team},{label}\n")
            hours += wait
    path = folder / f"log{spoil_after}.csv"
    path.write_text("".join(lines))
    return str(path)


def hold_out(path, **options):
    return load_events(EventOptions("events", path, **ROLES | options), 0).held_out


def expect_nothing(held_out):
    """A network that spreads its probability, or expects an hour."""
    if isinstance(held_out, HeldOutHeads):
        return lambda sequences: {
            name: expect_nothing(one)(sequences)
            for name, one in held_out.by_name.items()
        }
    size = len(getattr(held_out, "labels", "123"))
    value = 1 / size if hasattr(held_out, "labels") else 3600.0
    return lambda sequences: np.full((*sequences.shape[:2], size), value)


def test_each_task_has_it_in_its_table_and_it_sees_the_fields(tmp_path):
    held_out = hold_out(
        write_log(tmp_path),
        task="next,label,time,remaining",
        label="label",
        numbers=("amount",),
        categories=("team",),
    )

    metrics = evaluate_tasks(held_out, expect_nothing(held_out), {})

    by_name = {m.name: m for m in metrics}
    for name, other, at_most in [
        ("surprise per event", "-gram", 0.6),
        ("mean error of the next time", "median after this event", 0.3),
    ]:
        found = by_name[name].baselines
        (counted,) = (found[one] for one in found if one.endswith(other))
        assert found[NAME] < at_most * counted, found
    assert by_name["right labels"].baselines[NAME] > 0.99
    assert NAME in by_name["mean error of the remaining time"].baselines
    assert all(NAME in m.baselines for m in metrics if m.verdict)


def test_it_is_fitted_without_the_test_part(tmp_path):
    fields = {"numbers": ("amount",), "categories": ("team",)}
    clean = hold_out(write_log(tmp_path), **fields)
    spoilt = hold_out(write_log(tmp_path, spoil_after=165), **fields)
    asked = clean.test.take(np.arange(5)).sequences

    one, other = (boosting.boost_labels(h)[NAME](asked) for h in (clean, spoilt))

    assert (clean.train.inputs == spoilt.train.inputs).all()
    assert (clean.test.inputs[:, 3] != spoilt.test.inputs[:, 3]).any()
    assert one.tobytes() == other.tobytes()


def test_no_answer_sees_a_later_event(tmp_path):
    held_out = hold_out(write_log(tmp_path), task="remaining", numbers=("amount",))
    predict = boosting.boost_times(held_out)[NAME]
    sequences = held_out.test.take(np.arange(4)).sequences
    changed = sequences.copy()
    changed[:, 4:] = changed[:, 3:4]

    assert (predict(sequences)[:, :4] == predict(changed)[:, :4]).all()
    assert (np.diff(predict(sequences), axis=-1) >= 0).all()


def test_features_are_those_written_out():
    inputs = np.array([2, 5, 7, 1, 3])

    table, names = describe(inputs, np.array([0, 3, 5]), ("name",), counts=False)

    nan = np.nan
    expected = [
        [2, nan, nan, nan, 0],
        [5, 2, nan, nan, 1],
        [7, 5, 2, nan, 2],
        [1, nan, nan, nan, 0],
        [3, 1, nan, nan, 1],
    ]
    assert np.array_equal(table, expected, equal_nan=True)
    assert names == [True] * 4 + [False]


def test_time_and_counts_are_features_too():
    # Of each event: name, days, seconds of the day, a number.
    inputs = np.array(
        [[0, 9, 50, 1.5], [1, 9, 80, 2.5], [0, 10, 5, 3.5]], dtype=np.float32
    )
    columns = ("name", "days", "seconds", "number")

    table, names = describe(inputs, np.array([0, 3]), columns, counts=True)

    last = table[2]
    assert list(last[[0, 1, 2, 4]]) == [0, 1, 0, 2]
    assert np.isnan(last[3])
    assert list(last[5:21]) == [2, 1, *[0] * 14]  # how often each event was there
    day, since_first, gap, gap_before = last[21:25]
    assert (day, since_first, gap, gap_before) == (10 % 7, 86355, 86325, 30)
    assert list(last[25:]) == [5, 3.5, 2.5]
    assert sum(names) == 4


def test_rows_and_classes_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(boosting, "MAX_ROWS", 300)
    monkeypatch.setattr(boosting, "MAX_CLASSES", 3)
    rng = np.random.default_rng(0)
    events = rng.choice(40, size=(500, 8), p=np.linspace(1, 3, 40) / 80)
    lines = [f"{c},e{e},,,,\n" for c, row in enumerate(events) for e in row]
    path = tmp_path / "wide.csv"
    path.write_text(HEADER + "".join(lines))
    held_out = hold_out(str(path), time="")

    table = boosting.tabulate(held_out.train, ("name",), counts=False, most=300)
    asked = held_out.test.take(np.arange(9)).sequences
    shares = boosting.boost_labels(held_out)[NAME](asked)

    assert len(table.targets) == len(table.features) == 300
    assert set(boosting.pool_classes(table.targets, 42)) == {0, 1, 2, 3}
    assert shares.shape == (9, 8, len(held_out.labels))
    assert shares.sum(axis=-1) == pytest.approx(1)
    assert (shares > 0).all()


def test_it_is_fitted_once_for_all_networks(tmp_path):
    held_out = hold_out(write_log(tmp_path, cases=40))

    first, second = (boosting.boost_labels(held_out)[NAME] for _ in range(2))

    assert first is second
    fitted = weakref.ref(first)
    del first, second, held_out
    gc.collect()
    assert fitted() is None


def draw_series(rows=1200):
    """A value that follows the number of the row before."""
    rng = np.random.default_rng(0)
    number = rng.normal(size=rows)
    return 10 + np.concatenate([[0], number[:-1]]), number


def hold_out_series(values, number, validation=None):
    clock = np.arange(len(values)) * 1800
    columns = [clock // 86_400, clock % 86_400, values, number]
    sequence = np.stack(columns, axis=-1).astype(np.float32)
    start = int(0.75 * len(values))
    return HeldOutSeries(sequence, values, start, 1, {"day": 48}, (), validation)


@pytest.mark.parametrize("validation", [None, 800])
def test_a_series_is_learnt_with_its_fields(validation):
    held_out = hold_out_series(*draw_series(), validation)

    [metric] = evaluate_series(held_out, lambda s: np.zeros((*s.shape[:2], 1)), {})

    others = dict(metric.baselines)
    assert others.pop(NAME) < 0.2 * min(others.values())


def test_held_out_rows_change_no_forecast_before_them():
    values, number = draw_series()
    spoilt = values.copy()
    spoilt[950:] *= -3

    one, other = (
        boost_series(hold_out_series(v, number), 1)[NAME] for v in (values, spoilt)
    )

    fitted = np.isnan(one)
    assert 0.6 * 1200 < fitted.sum() < 900  # errors of intervals are of other rows
    assert np.array_equal(one[:950], other[:950], equal_nan=True)
    assert (one[950:] != other[950:]).any()


def test_many_series_are_left_out_of_it(tmp_path):
    lines = ["series,time,value\n"]
    lines += [
        f"s{k},2024-01-{1 + t // 24:02d}T{t % 24:02d}:00:00,{(t * 7 + k) % 11}\n"
        for k in range(21)
        for t in range(120)
    ]
    path = tmp_path / "many.csv"
    path.write_text("".join(lines))
    options = SeriesOptions(
        "series", str(path), "time", "value", 1, 0.2, 24, 12, case="series"
    )

    held_out = load_series(options, 0).held_out

    assert not any(boost_series(one, 1) for one in held_out)


def test_without_scikit_learn_the_report_says_so(tmp_path, monkeypatch):
    held_out = hold_out(write_log(tmp_path, cases=40))
    facts = {"source": "events"}
    assert boosting.list_missing(facts) == ""
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as Python marks what is absent

    metrics = evaluate_tasks(held_out, expect_nothing(held_out), {})

    assert not any(NAME in metric.baselines for metric in metrics)
    assert "pip install -r requirements-boosting.txt" in boosting.list_missing(facts)
    assert boosting.list_missing({"source": "nature"}) == ""
