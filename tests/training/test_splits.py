"""No part of a log sees another: boundaries, cut cases, folds, and poison."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.event_log import Coded, EventLog
from training.data.splits import SplitOptions, count_share, divide_log, show_time
from training.errors import DataError


def make_log(cases, folds=None):
    """Make a log of cases, each a list of times; the event is the case's number."""
    lengths = [len(times) for times in cases]
    names = [f"case {k}" for k in range(len(cases))]
    times = np.concatenate([np.sort(case) for case in cases]).astype(np.int64)
    return EventLog(
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        case_names=np.array(names, np.dtypes.StringDType()),
        events=Coded(np.repeat(np.arange(len(cases)), lengths), names),
        fingerprint="",
        times=times,
        clocks=times,
        folds=folds,
    )


def random_log(rng, num_cases=30):
    begins = rng.integers(0, 1000, num_cases)
    return make_log(
        [begin + rng.integers(0, 300, rng.integers(1, 9)) for begin in begins]
    )


def parts(split):
    return split.train, split.validation, split.test


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["time", "events", "file", "folds"])
def test_no_event_counts_in_two_parts(seed, kind):
    log = random_log(np.random.default_rng(seed))

    split = divide_log(log, SplitOptions(kind, seed=seed))

    counted = sum(part.rows(log.num_rows).astype(int) for part in parts(split))
    assert counted.max() == 1
    for part in parts(split):
        assert ((part.starts <= part.scored) & (part.scored <= part.stops)).all()
        ends = np.isin(part.stops, log.offsets[1:])
        assert (
            ends[part.stops > part.starts] == part.ends[part.stops > part.starts]
        ).all()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["time", "events"])
def test_by_time_training_ends_before_testing_begins(seed, kind):
    log = random_log(np.random.default_rng(seed))

    train, validation, test = (
        log.times[part.rows(log.num_rows)]
        for part in parts(divide_log(log, SplitOptions(kind)))
    )

    assert train.max() < test.min()
    assert train.max() < validation.min()
    assert validation.max() < test.min()


def test_cases_that_cross_the_boundary_are_cut_there():
    log = make_log([[0, 50], [10, 95], [20, 21], [60, 99], [90, 91]])

    split = divide_log(log, SplitOptions("time", validation=1, test=1))

    assert (split.train.stops - split.train.starts).tolist() == [2, 1, 2]
    assert split.train.ends.tolist() == [True, False, True]
    assert (split.validation.stops - split.validation.starts).tolist() == [1]
    assert split.facts["cut_cases"] == 1
    assert split.facts["test_from"] == show_time(90) == "1970-01-01T00:00:00"


def test_by_events_what_is_known_already_is_context():
    log = make_log([list(range(100))])

    split = divide_log(log, SplitOptions("time", context=5))

    assert (split.train.starts, split.train.stops) == (0, 70)
    assert (split.test.starts, split.test.scored, split.test.stops) == (75, 80, 100)
    assert split.test.ends.all()


def test_folds_are_as_equal_as_can_be_and_every_case_is_tested_once():
    log = random_log(np.random.default_rng(1), num_cases=23)
    tested = [
        divide_log(log, SplitOptions("folds", fold=str(k), seed=3)).test.starts
        for k in range(5)
    ]

    assert sorted(np.concatenate(tested)) == log.offsets[:-1].tolist()
    assert {len(cases) for cases in tested} == {4, 5}


def test_folds_of_a_column_are_taken_by_name():
    folds = Coded(np.array([0, 1, 0, 1]), ["a", "b"])
    log = make_log([[0], [1], [2], [3]], folds)

    split = divide_log(log, SplitOptions("folds", fold="b", validation=1))

    assert split.test.starts.tolist() == [1, 3]
    assert split.validation.starts.tolist() == [2]
    with pytest.raises(DataError, match="fold is one of a, b"):
        divide_log(log, SplitOptions("folds", fold="c"))


@pytest.mark.parametrize("total", [7, 10, 100, 10_320, 3804])
def test_shares_are_rounded_as_on_paper(total):
    assert count_share(total, 0.1) == (total + 5) // 10
    assert count_share(total, 0.3) == (3 * total + 5) // 10
    assert count_share(total, 12) == 12


@pytest.mark.parametrize(
    ("cases", "options", "part"),
    [
        ([[0], [0], [0], [0]], SplitOptions(), "Cases may begin at the same time"),
        ([[0], [1]], SplitOptions(test=2), "something left to train on"),
        ([[0], [1], [2]], SplitOptions(test=0.7, validation=0.3), "train on"),
        ([[0]], SplitOptions(), "to train on"),
    ],
)
def test_a_part_without_events_is_refused(cases, options, part):
    with pytest.raises(DataError, match=part):
        divide_log(make_log(cases), options)


def test_the_number_of_a_fold_is_one_of_them():
    with pytest.raises(DataError, match="is '5'; expected 0 to 4"):
        divide_log(make_log([[k] for k in range(10)]), SplitOptions("folds", fold="5"))
