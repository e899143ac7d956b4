"""Split of a log into training, validation and test parts, so that none leaks.

By time, a part begins where its first case does, and cases of the part before are cut
there: what happened later is in no training example (Weytjens & De Weerdt, Creating
Unbiased Public Benchmark Datasets with Data Leakage Prevention for Predictive Process
Monitoring, 2021, https://arxiv.org/abs/2107.01905). Knows codes and times, no names.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.event_log import EventLog
from training.errors import DataError

SPLITS = ("time", "events", "file", "folds")


class Part(NamedTuple):
    """Pieces of cases, as rows of the log.

    Args:
        starts: First row of each piece.
        stops: One past its last row.
        scored: First row that counts; those before it are what is known already.
        ends: Whether the case ends with the piece; otherwise it continues elsewhere.
    """

    starts: Array
    stops: Array
    scored: Array
    ends: Array

    def rows(self, num_rows: int) -> Array:
        """Return the rows that count: bool of shape (rows of the log,)."""
        change = np.zeros(num_rows + 1, np.int64)
        np.add.at(change, self.scored, 1)
        np.add.at(change, self.stops, -1)
        counted: Array = np.cumsum(change[:-1]) > 0
        return counted

    def choose(self, rows: Array) -> Part:
        """Choose some of the pieces."""
        return Part(*(array[rows] for array in self))


class Split(NamedTuple):
    """The parts of a log.

    Args:
        train: What networks, vocabularies, scales and baselines are fitted on.
        validation: What is chosen by.
        test: What is reported; used for nothing else.
        facts: Where the boundaries are.
    """

    train: Part
    validation: Part
    test: Part
    facts: dict[str, Any]


class SplitOptions(NamedTuple):
    """Options of a split of a log.

    Args:
        split: `time`: by the beginnings of cases; `events`: all cases at one time, or
            without times at the same share of their events; `file`: by the order of
            cases; `folds`: one fold of several is the test part.
        validation: Share of the cases (of the events for `events`), or from 1 their
            number.
        test: The same.
        folds: Number of folds, where no column names them.
        fold: Which one is the test part: its number, or its name in the column.
        seed: Of the folds.
        context: Rows before the first one that counts which a piece may have.
    """

    split: str = "time"
    validation: float = 0.1
    test: float = 0.2
    folds: int = 5
    fold: str = "0"
    seed: int = 0
    context: int = 500


def count_share(total: int, share: float) -> int:
    """Return a share of a total, rounded as on paper; from 1 on, the number itself."""
    exact = Fraction(str(share))
    wanted = exact * total if exact < 1 else exact
    return int(wanted + Fraction(1, 2))


def divide_log(log: EventLog, options: SplitOptions) -> Split:
    """Divide a log.

    Raises:
        DataError: A part would be empty.
    """
    by_name = {
        "time": divide_by_time,
        "events": divide_by_events,
        "file": divide_by_file,
        "folds": divide_by_folds,
    }
    kind = options.split
    if log.num_cases == 1 and kind != "events":
        kind = "events"  # one case cannot be in three parts but by its events
    split = by_name[kind](log, options)
    for name in ("train", "test"):
        part: Part = getattr(split, name)
        if not (part.stops > part.scored).any():
            raise DataError(
                f"the {name} part of data.split = {options.split!r} has no events, of "
                f"{log.num_cases} cases and {log.num_rows} events. "
                + advise(log, options)
            )
    return split


def advise(log: EventLog, options: SplitOptions) -> str:
    """Say what to do about an empty part."""
    if options.split == "time":
        return (
            'Cases may begin at the same time: try data.split = "events" or "file", '
            "or other shares in data.test and data.validation."
        )
    if options.split == "folds" and log.folds:
        return f"data.fold is one of {', '.join(log.folds.names[:8])}."
    if options.split == "folds" and not is_fold(options):
        return f"data.fold is {options.fold!r}; expected 0 to {options.folds - 1}."
    return "Choose other shares in data.test and data.validation, or bring more data."


def is_fold(options: SplitOptions) -> bool:
    """Recognize the number of a fold."""
    return options.fold in map(str, range(options.folds))


def count_parts(total: int, options: SplitOptions) -> tuple[int, int]:
    """Return where validation and test begin, in a row of a given length.

    Raises:
        DataError: Nothing would be left to train on.
    """
    test = total - count_share(total, options.test)
    validation = test - count_share(total, options.validation)
    if not 0 < validation <= test < total:
        raise DataError(
            f"data.validation is {options.validation:g} and data.test "
            f"{options.test:g}, of {total} to divide; expected something left to "
            "train on, and to test on. Lower them."
        )
    return validation, test


def whole_cases(log: EventLog, cases: Array) -> Part:
    """Take cases from beginning to end."""
    starts, stops = log.offsets[cases], log.offsets[cases + 1]
    return Part(starts, stops, starts, np.ones(len(cases), bool))


def divide_by_file(log: EventLog, options: SplitOptions) -> Split:
    """Divide by the order in which cases are in the file."""
    return divide_order(log, np.arange(log.num_cases), options, "file")


def divide_order(
    log: EventLog, order: Array, options: SplitOptions, name: str
) -> Split:
    """Divide cases in an order, whole."""
    validation, test = count_parts(len(order), options)
    return Split(
        whole_cases(log, order[:validation]),
        whole_cases(log, order[validation:test]),
        whole_cases(log, order[test:]),
        {"split": name},
    )


def divide_by_time(log: EventLog, options: SplitOptions) -> Split:
    """Divide by the time at which cases begin; those that go on later are cut."""
    if log.times is None:
        return divide_by_file(log, options)
    begins = log.times[log.offsets[:-1]]
    order = np.argsort(begins, kind="stable")
    validation, test = count_parts(len(order), options)
    bounds = [begins[order[validation]], begins[order[test]]]
    train = cut_cases(log, np.flatnonzero(begins < bounds[0]), bounds[0])
    between = np.flatnonzero((begins >= bounds[0]) & (begins < bounds[1]))
    return Split(
        train,
        cut_cases(log, between, bounds[1]),
        whole_cases(log, np.flatnonzero(begins >= bounds[1])),
        {
            "split": "time",
            "validation_from": show_time(bounds[0]),
            "test_from": show_time(bounds[1]),
            "cut_cases": int(np.count_nonzero(~train.ends)),
        },
    )


def cut_cases(log: EventLog, cases: Array, bound: Any) -> Part:
    """Take the events of cases before a time."""
    part = whole_cases(log, cases)
    stops = count_before(log, part, bound)
    return part._replace(stops=stops, ends=stops == part.stops)


def count_before(log: EventLog, part: Part, bound: Any) -> Array:
    """Return one past the last row of each case before a time."""
    if log.times is None or not len(part.starts):
        return part.stops
    before = np.concatenate([[0], np.cumsum(log.times < bound)])
    stops: Array = part.starts + before[part.stops] - before[part.starts]
    return stops


def divide_by_events(log: EventLog, options: SplitOptions) -> Split:
    """Cut every case in three, at two times, or at two shares of its events."""
    every = whole_cases(log, np.arange(log.num_cases))
    facts: dict[str, Any] = {"split": "events"}
    cuts: list[Array] = []
    places = count_parts(log.num_rows, options)
    for name, place in zip(("validation_from", "test_from"), places, strict=True):
        if log.times is None:
            share = place / log.num_rows
            cuts.append(every.starts + (log.lengths * share).astype(np.int64))
        else:
            bound = np.partition(log.times, place)[place]
            cuts.append(count_before(log, every, bound))
            facts[name] = show_time(bound)
    first, second = cuts
    return Split(
        every._replace(stops=first, ends=first == every.stops),
        piece(every, first, second, options.context),
        piece(every, second, every.stops, options.context),
        facts,
    )


def piece(every: Part, scored: Array, stops: Array, context: int) -> Part:
    """Take the events of cases between two rows, with some before them as context."""
    starts = np.maximum(every.starts, scored - context)
    part = Part(starts, stops, scored, stops == every.stops)
    return part.choose(np.flatnonzero(stops > scored))


def divide_by_folds(log: EventLog, options: SplitOptions) -> Split:
    """Test on one fold; validate on the last of the other cases."""
    if log.folds is not None:
        named = log.folds.names
        wanted = named.index(options.fold) if options.fold in named else -1
        is_test = log.folds.codes == wanted
    else:
        rng = np.random.default_rng(options.seed)
        fold = rng.permutation(log.num_cases) % options.folds
        is_test = fold.astype(str) == options.fold
    others = np.flatnonzero(~is_test)
    if log.times is not None:
        begins = log.times[log.offsets[others]]
        others = others[np.argsort(begins, kind="stable")]
    kept = len(others) - count_share(len(others), options.validation)
    return Split(
        whole_cases(log, others[:kept]),
        whole_cases(log, others[kept:]),
        whole_cases(log, np.flatnonzero(is_test)),
        {"split": "folds", "fold": options.fold},
    )


def show_time(micros: Any) -> str:
    """Write microseconds since 1970 as a time."""
    return str(np.datetime64(int(micros), "us").astype("datetime64[s]"))


def describe_parts(split: Split, num_rows: int) -> dict[str, Any]:
    """Count what each part has, for the manifest."""
    parts: Sequence[tuple[str, Part]] = (
        ("train", split.train),
        ("validation", split.validation),
        ("test", split.test),
    )
    counts = {
        f"{name}_{what}": count
        for name, part in parts
        for what, count in (
            ("cases", len(part.starts)),
            ("events", int((part.stops - part.scored).sum())),
        )
    }
    used = sum(counts[f"{name}_events"] for name, _ in parts)
    return {**split.facts, **counts, "unused_events": num_rows - used}
