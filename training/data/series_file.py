"""Read series of numbers over time: one or several in a file, of any form.

Rows are sorted by series and time. A missing value is refused with its line, or filled
by the last value known, which is what a service knows at that time; a rule that looks
ahead, such as a straight line, would let the held-out part into training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.event_log import Coded, Roles
from training.data.log_reader import read_log
from training.data.times import DAY
from training.errors import DataError

LAST_SECOND = 86400 - 2**-7  # the largest float32 below a day's 86,400 seconds
# Filling more rows than this for each one there is would make most of a series up.
MAX_FILLED = 10
# A column that changes by fewer steps of a float32, which a network takes, is lost in
# them: a meter at 1.7e9 has steps of 128.
FINEST_STEPS = 16


class SeriesColumns(NamedTuple):
    """Roles of the columns of a file of series.

    Args:
        time: Times of the rows.
        value: What is forecast.
        case: Names the series of a row; None where there is one.
        numbers: Further numbers of a row.
        categories: Further names of a row.
        missing: `refuse`, or `previous`: empty cells and missing rows are filled.
        time_format: As in `Roles`.
    """

    time: str
    value: str
    case: str | None = None
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    missing: str = "refuse"
    time_format: str | None = None


class Series(NamedTuple):
    """A time series, as columns.

    Args:
        name: Of the series; empty where the file has one.
        clocks: int64 of shape (rows,): microseconds since 1970 on the wall clock.
        values: float64 of shape (rows,).
        numbers: float64 of shape (rows, numbers).
        categories: Codes, of shape (rows, categories).
        gaps: How often two rows are not the usual time apart.
        filled_values: Cells that were empty.
        filled_rows: Rows that were missing.
        dropped_rows: Rows before the first of which all is known, left out.
        names: Of each column of categories: what the codes stand for.
    """

    name: str
    clocks: Array
    values: Array
    numbers: Array
    categories: Array
    gaps: int = 0
    filled_values: int = 0
    filled_rows: int = 0
    dropped_rows: int = 0
    names: Sequence[list[str]] = ()

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return f"series {self.name!r}" if self.name else "the series"

    @property
    def days(self) -> Array:
        """Days since 1970-01-01: float32 of shape (rows,)."""
        return split_clocks(self.clocks)[0]

    @property
    def seconds(self) -> Array:
        """Seconds of the day, below 86,400: float32 of shape (rows,)."""
        return split_clocks(self.clocks)[1]


def split_clocks(clocks: Array) -> tuple[Array, Array]:
    """Split times in microseconds: days since 1970-01-01 and seconds of the day."""
    seconds = np.minimum((clocks % DAY) / 1e6, LAST_SECOND)
    return (clocks // DAY).astype(np.float32), seconds.astype(np.float32)


class SeriesFile(NamedTuple):
    """The series of a file.

    Args:
        series: In the file's order.
        names: Of each column of categories: what the codes stand for.
        fingerprint: SHA-256 of the file.
        zoned: Whether times have UTC offsets.
        shift: Microseconds that the clocks are ahead of UTC.
    """

    series: list[Series]
    names: list[list[str]]
    fingerprint: str
    zoned: bool = False
    shift: int = 0


def read_series(path: Path, columns: SeriesColumns) -> SeriesFile:
    """Read the series of a file.

    Times that all have the same UTC offset lose it, since a day's pattern follows the
    clock.

    Raises:
        DataError: The file or a row of it cannot be read; with the line.
    """
    roles = Roles(
        columns.case,
        None,
        columns.time,
        numbers=(columns.value, *columns.numbers),
        categories=columns.categories,
        time_format=columns.time_format,
        missing=columns.missing,
        is_series=True,
    )
    asked = roles.asked()
    asked["data.time_column"] = asked.pop("data.time")
    asked["data.value_column"] = asked.pop("data.numbers[0]")
    log = read_log(path, roles, asked)
    if log.clocks is None:
        raise DataError(f"{path} has no times; name their column: data.time_column.")
    numbers = np.stack([log.numbers[name] for name in roles.numbers], axis=-1)
    coded: list[Coded] = [log.categories[name] for name in columns.categories]
    codes = np.stack(
        [column.codes for column in coded] or [np.zeros(log.num_rows)], axis=-1
    )[:, : len(coded)].astype(np.int64)
    series = []
    for k, name in enumerate(log.case_names.tolist()):
        own = slice(log.offsets[k], log.offsets[k + 1])
        one = Series(
            name, log.clocks[own], numbers[own, 0], numbers[own, 1:], codes[own]
        )
        series.append(fill(path, one) if columns.missing == "previous" else one)
    names = [column.names for column in coded]
    counted = [one._replace(gaps=count_gaps(one.clocks), names=names) for one in series]
    shift = int(log.clocks[0] - log.times[0]) if log.times is not None else 0
    return SeriesFile(counted, names, log.fingerprint, log.zoned, shift)


def count_gaps(clocks: Array) -> int:
    """Count the rows that do not follow the one before at the usual interval."""
    steps = np.diff(clocks)
    return 0 if not len(steps) else int(np.count_nonzero(steps != usual_step(steps)))


def usual_step(steps: Array) -> int:
    """Return the most frequent interval between rows."""
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def fill(path: Path, series: Series) -> Series:
    """Fill empty cells and missing rows with the last ones known.

    A row is missing where two are a whole number of usual intervals apart. Rows before
    the first of which all is known are left out.

    Raises:
        DataError: Nothing would be left, or most would be made up.
    """
    whole = ~np.isnan(np.column_stack([series.values, series.numbers]))
    known = np.logical_and.accumulate(~whole, axis=0)
    first = int(np.count_nonzero(known.any(axis=1)))
    if first == len(series.values):
        raise DataError(
            f"{path}: a column of {series.title} has no value at all. Leave "
            "the series or the column out."
        )
    begun = take(series, np.arange(first, len(series.values)))
    filled = begun._replace(
        values=carry(begun.values),
        numbers=np.column_stack([carry(column) for column in begun.numbers.T])
        if begun.numbers.size
        else begun.numbers,
        filled_values=int(np.count_nonzero(~whole[first:])),
        dropped_rows=first,
    )
    return fill_rows(path, filled)


def carry(values: Array) -> Array:
    """Put the last number before it in the place of each missing one."""
    places = np.where(np.isnan(values), 0, np.arange(len(values)))
    carried: Array = values[np.maximum.accumulate(places)]
    return carried


def fill_rows(path: Path, series: Series) -> Series:
    """Repeat a row where rows are missing after it.

    Raises:
        DataError: Most rows would be made up.
    """
    steps = np.diff(series.clocks)
    if not len(steps):
        return series
    usual = usual_step(steps)
    times = np.append(np.where(steps % usual == 0, steps // usual, 1), 1)
    missing = int(times.sum()) - len(times)
    if missing > MAX_FILLED * len(times):
        raise DataError(
            f"{path}: {series.title} has {len(times)} rows, and {missing} are "
            'missing between them. Leave its gaps: set data.missing = "refuse".'
        )
    rows = np.repeat(np.arange(len(times)), times)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    filled = take(series, rows)
    return filled._replace(clocks=filled.clocks + nth * usual, filled_rows=missing)


def take(series: Series, rows: Sequence[int] | Array) -> Series:
    """Choose rows of a series, some perhaps more than once."""
    return series._replace(
        clocks=series.clocks[rows],
        values=series.values[rows],
        numbers=series.numbers[rows],
        categories=series.categories[rows],
    )


def refuse_lost(place: str, values: Array) -> None:
    """Refuse values so large that float32 makes them equal.

    Args:
        place: Which they are, to begin an error with.
        values: float64, some of which may be NaN.

    Raises:
        DataError: Their standard deviation is few steps of a float32.
    """
    step, std = (
        float(np.spacing(np.float32(np.nanmax(np.abs(values))))),
        np.nanstd(values),
    )
    if 0 < std < FINEST_STEPS * step:
        raise DataError(
            f"{place} changes by {std:.3g} around {np.nanmean(values):.6g}, where the "
            f"float32 numbers of a network are {step:.3g} apart; expected changes of "
            f"at least {FINEST_STEPS} such steps. Subtract a constant from the column, "
            "or take differences."
        )
