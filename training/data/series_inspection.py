"""Inspection of a file of numbers over time: span, gaps, empty cells, first options."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.data.guessing import CASE, Column
from training.data.series_file import SeriesColumns, SeriesFile, read_series
from training.data.splits import show_time

# Of a training sequence, where the series is long enough: a week of half hours.
WINDOW = 336
HORIZON = 5


def guess_series(
    columns: Sequence[Column], roles: Mapping[str, str], known: Collection[str] = ()
) -> SeriesColumns | None:
    """Guess which columns are time, value and name; None where it is no series.

    Args:
        columns: Of the file.
        roles: What the columns of an event log would be.
        known: Columns that the user named.
    """
    if "time" not in roles or "event" in roles:
        return None
    cases = [
        c
        for c in columns
        if c.name == roles.get("case")
        and (not c.is_number or c.name in known or CASE.search(c.name))
    ]
    taken = (roles["time"], *(column.name for column in cases))
    numbers = [c for c in columns if c.is_number and c.name not in taken]
    if not numbers:
        return None
    case = cases[0].name if cases else None
    return SeriesColumns(roles["time"], numbers[0].name, case, missing="previous")


def describe_series(file: SeriesFile) -> dict[str, str]:
    """Describe the series of a file in a few lines."""
    clocks = np.concatenate([one.clocks for one in file.series])
    values = np.concatenate([one.values for one in file.series])
    empty = sum(one.filled_values for one in file.series)
    missing = sum(one.filled_rows for one in file.series)
    gaps = sum(one.gaps for one in file.series)
    dropped = sum(one.dropped_rows for one in file.series)
    before = f", {dropped:,} rows before the first value are left out" * bool(dropped)
    several = {"series": f"{len(file.series):,}"} if len(file.series) > 1 else {}
    return {
        **several,
        "time": f"{show_time(clocks.min())} to {show_time(clocks.max())}; {missing:,} "
        f"rows are missing, {gaps:,} further gaps",
        "values": f"{values.min():g} to {values.max():g}, mean {values.mean():g}; "
        f"{empty:,} are empty{before}",
    }


def start_series(path: Path, columns: SeriesColumns, rows: int) -> dict[str, Any]:
    """Write down the `[data]` to start from."""
    file = read_series(path, columns)
    is_filled = any(
        one.filled_values or one.filled_rows or one.dropped_rows for one in file.series
    )
    window = max(2, min(WINDOW, rows // len(file.series) // 8))
    return {
        "source": "series",
        "file": str(path),
        **({"case": columns.case} if columns.case else {}),
        "time_column": columns.time,
        "value_column": columns.value,
        "missing": "previous" if is_filled else "refuse",
        "horizon": HORIZON,
        "held_out": 0.2,
        "window": window,
        "stride": max(1, window // 7),
    }
