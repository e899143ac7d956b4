"""An event log in memory: columns of codes, sorted by case, time and file order.

A case is a run of rows. Text of the file is a code and a list of names here, so
that fifty million events take a few bytes each. Knows no vocabulary: what a network
takes is fitted on the training part (`training.data.vocabulary`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array

MISSING_POLICIES = ("refuse", "previous")


@dataclass(frozen=True)
class Roles:
    """Roles of the columns of a log.

    Args:
        case: Names the case of an event; None: all rows are one.
        event: Names what happened; None for series, which have numbers only.
        time: When, if the file says so; without it the file's order counts.
        label: What is to be learnt of the event or its case.
        numbers: Further numbers of an event.
        categories: Further names of an event.
        fold: The part of the data its case belongs to.
        time_format: How times are written where they are not ISO 8601, as strptime
            has it.
        missing: What is done where a number is missing: `refuse`, `previous`, the last
            one of the case, and before there is one the mean of training, or `mean`.
        is_series: Whether a case has one row at a time, all on one clock.
        anomaly: Says whether an event is inside an anomaly.
    """

    case: str | None
    event: str | None
    time: str | None = None
    label: str | None = None
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    fold: str | None = None
    time_format: str | None = None
    missing: str = "refuse"
    is_series: bool = False
    anomaly: str | None = None

    def asked(self) -> dict[str, str]:
        """Return the columns by the option that names them."""
        single = {name: getattr(self, name) for name in SINGLE}
        several = {
            f"data.{name}[{k}]": column
            for name in ("numbers", "categories")
            for k, column in enumerate(getattr(self, name))
        }
        single["fold_column"] = single.pop("fold")
        named = {f"data.{name}": column for name, column in single.items() if column}
        return {**named, **several}


SINGLE = ("case", "event", "time", "label", "fold", "anomaly")


class Coded(NamedTuple):
    """A column of names.

    Args:
        codes: Of shape (rows,), positions in `names`.
        names: In alphabetical order.
    """

    codes: Array
    names: list[str]


@dataclass(frozen=True)
class EventLog:
    """A log, sorted.

    Args:
        offsets: int64 of shape (cases + 1,): the rows of case k are those from
            offsets[k] to offsets[k + 1]. Cases are in the order of the file.
        case_names: Of the cases, of shape (cases,).
        events: What happened.
        times: int64 of shape (rows,): microseconds since 1970 at UTC, or on the one
            clock the file has; None without a column of times.
        clocks: The same on the wall clock of each event; `times` where there are no
            offsets.
        label: Names, "" where a row has none; None without such a column.
        numbers: float64 of shape (rows,) by column; NaN where one is missing and is
            to be filled.
        categories: By column; "" where a row has none.
        folds: By case: names of the parts; None without such a column.
        fingerprint: SHA-256 of the file.
        windows: int32 of shape (rows,): numbers of the labelled windows that rows are
            in, 0 outside; None without labels.
        zoned: Whether times have UTC offsets.
        equal_times: Rows at the time of the row before them, in the same case.
        note: What a user should know of the file, with its line; empty without.
    """

    offsets: Array
    case_names: Any
    events: Coded
    fingerprint: str
    times: Array | None = None
    clocks: Array | None = None
    label: Coded | None = None
    numbers: Mapping[str, Array] = field(default_factory=dict)
    categories: Mapping[str, Coded] = field(default_factory=dict)
    folds: Coded | None = None
    windows: Array | None = None
    zoned: bool = False
    equal_times: int = 0
    note: str = ""

    @property
    def num_cases(self) -> int:
        """Number of cases."""
        return len(self.offsets) - 1

    @property
    def num_rows(self) -> int:
        """Number of events."""
        return len(self.events.codes)

    @property
    def lengths(self) -> Array:
        """Events of each case."""
        lengths: Array = np.diff(self.offsets)
        return lengths
