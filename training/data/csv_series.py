"""Read a time series from a CSV file, or say at which line it cannot be one.

Does not know what is forecast, or how: it returns the times and values as they stand.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from training.data.dataset import Array
from training.errors import DataError

EPOCH = datetime(1970, 1, 1)
ONE_DAY, ONE_SECOND = timedelta(days=1), timedelta(seconds=1)
# From here on a number rounds to infinity as a float32, in which the network computes.
TOO_LARGE = 2.0**128 - 2.0**103
LAST_SECOND = 86400 - 2**-7  # the largest float32 below a day's 86,400 seconds


class Series(NamedTuple):
    """A time series, as columns.

    Args:
        days: float32 of shape (rows,), days since 1970-01-01.
        seconds: float32 of shape (rows,), seconds of the day, below 86,400.
        values: float64 of shape (rows,).
        gaps: How often two rows are not the usual time apart.
        fingerprint: SHA-256 of the file.
    """

    days: Array
    seconds: Array
    values: Array
    gaps: int
    fingerprint: str


class Cell(NamedTuple):
    """One cell of the file, to read it and to complain about it."""

    file: Path
    line: int
    column: str
    text: str

    def refuse(self, expected: str) -> NoReturn:
        """Raise an error that names file, line and column."""
        raise DataError(
            f"{self.file}, line {self.line}, column {self.column}: {self.text!r} is "
            f"not {expected}."
        )


def read_series(path: Path, time_column: str, value_column: str) -> Series:
    """Read two columns of a CSV file with a header line.

    Times are ISO 8601, as written on the local clock: where every one has the same UTC
    offset it is dropped, since a day's pattern follows the clock.

    Args:
        path: The file, UTF-8.
        time_column: Name of the column of times, strictly increasing.
        value_column: Name of the column of values, finite numbers.

    Returns:
        The series, rows in the file's order.

    Raises:
        DataError: The file is missing or empty, lacks a column, or a cell is wrong.
    """
    content = read_bytes(path)
    cells = list(read_cells(path, decode(path, content), time_column, value_column))
    if not cells:
        raise DataError(
            f"{path} has no rows; expected a header line and a row per time."
        )
    times = read_times([time for time, _ in cells])
    since = [time - EPOCH for time in times]
    return Series(
        days=np.array([delta // ONE_DAY for delta in since], np.float32),
        seconds=np.array(
            [min(delta % ONE_DAY / ONE_SECOND, LAST_SECOND) for delta in since],
            np.float32,
        ),
        values=np.array([read_value(value) for _, value in cells]),
        gaps=count_gaps(times),
        fingerprint=hashlib.sha256(content).hexdigest(),
    )


def read_bytes(path: Path) -> bytes:
    """Read the file as it is; the fingerprint is taken from these bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}). data.file is relative to the "
            "folder the command runs in; run it where that path exists, or give "
            "--set data.file=PATH."
        ) from error


def decode(path: Path, content: bytes) -> str:
    """Decode UTF-8, with or without the mark some spreadsheets put in front."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8. "
            "Save the file as UTF-8."
        ) from error


def read_cells(
    path: Path, text: str, time_column: str, value_column: str
) -> Iterator[tuple[Cell, Cell]]:
    """Yield the time cell and the value cell of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        columns = (time_column, value_column)
        places = [find_column(path, header, column) for column in columns]
        for row in reader:
            if row:
                expect_width(path, reader.line_num, row, header)
                time, value = (
                    Cell(path, reader.line_num, column, row[place].strip())
                    for column, place in zip(columns, places, strict=True)
                )
                yield time, value
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; expected comma-separated "
            "text. Export the file as CSV again."
        ) from error


def find_column(path: Path, header: list[str], column: str) -> int:
    """Find a column by name."""
    if header.count(column) == 1:
        return header.index(column)
    came = "twice" if column in header else "not at all"
    raise DataError(
        f"{path}, line 1: column {column} appears {came}; the header reads "
        f"{', '.join(header) or '(nothing)'}. Separate columns by commas, and name "
        "them with --set data.time_column=... and --set data.value_column=..."
    )


def expect_width(path: Path, line: int, row: list[str], header: list[str]) -> None:
    """Insist that a row has as many cells as the header."""
    if len(row) != len(header):
        raise DataError(
            f"{path}, line {line}: {len(row)} cells; the header has {len(header)}. "
            "Give every row a cell per column."
        )


def read_times(cells: list[Cell]) -> list[datetime]:
    """Read the times, insist that they increase, and drop their common offset."""
    times = [read_time(cell) for cell in cells]
    for cell, time, before in zip(cells[1:], times[1:], times, strict=False):
        if time.utcoffset() != before.utcoffset():
            cell.refuse(
                "at the UTC offset of the line before; write all times on one clock"
            )
        if time <= before:
            cell.refuse(
                "later than the line before; sort the rows by time, and merge rows of "
                "the same time"
            )
    return [time.replace(tzinfo=None) for time in times]


def read_time(cell: Cell) -> datetime:
    """Read one ISO 8601 time."""
    try:
        return datetime.fromisoformat(cell.text)
    except ValueError:
        cell.refuse("a time; write ISO 8601, such as 2014-07-01 00:30:00")


def read_value(cell: Cell) -> float:
    """Read one finite number."""
    try:
        value = float(cell.text)
    except ValueError:
        cell.refuse("a number; write digits with a decimal point, such as 10844 or 0.5")
    # A comparison with NaN is false, so this refuses it as well.
    if not abs(value) < TOO_LARGE:
        cell.refuse("a finite number; fill in the value or leave out the row")
    return value


def count_gaps(times: list[datetime]) -> int:
    """Count the rows that do not follow the one before at the usual interval."""
    steps = Counter(after - before for before, after in pairwise(times))
    return steps.total() - max(steps.values(), default=0)
