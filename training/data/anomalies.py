"""Labelled windows of anomalies: from a file or a column to the rows inside them.

Two forms, found by the first character: JSON as the Numenta Anomaly Benchmark has it,
`{name: [[from, to], ...]}`, and CSV with the columns `case`, `from`, `to`. Windows only
score a network: nothing is trained on them or chosen by them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.files import (
    GZIP,
    DataFile,
    check_column,
    find_file,
    read_lines,
    read_rows,
    readable,
)
from training.data.times import UNITS
from training.errors import DataError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a cell says that is outside of all anomalies; all else is inside one.
OUTSIDE = {"", "0", "0.0", "-", "false", "no", "none", "normal"}


class Clock(NamedTuple):
    """Form of the times of a log.

    Args:
        form: As strptime has it; empty for ISO 8601 and numbers.
        zoned: Whether they have UTC offsets.
        shift: Microseconds that the rows' times are ahead of UTC.
    """

    form: str = ""
    zoned: bool = False
    shift: int = 0


class LabelledWindow(NamedTuple):
    """A labelled window.

    Args:
        case: Name of the case or series; empty where the file names none.
        start: First microsecond since 1970, as the rows' times.
        stop: The last one, included.
        where: Its place in the file, to begin an error with.
        text: As the file writes it.
    """

    case: str
    start: int
    stop: int
    where: str
    text: str


def read_windows(path: Path, clock: Clock) -> list[LabelledWindow]:
    """Read a file of labelled windows.

    Raises:
        DataError: It is damaged, or a window of it is reversed or has no times.
    """
    if not path.is_file():
        raise DataError(
            f"data.windows is {path}, which is not a file; expected JSON or CSV with "
            "the labelled windows. The path is relative to the folder the command "
            "runs in."
        )
    with readable(path), path.open("rb") as raw:
        file = DataFile(path, "json", raw.read(len(GZIP)) == GZIP)
    begin = next((line for _, line in read_lines(file) if line.strip()), "")
    read = read_json if begin.lstrip()[:1] in ("{", "[") else read_csv
    windows = []
    for case, start, stop, where in read(file):
        first, last = (read_moment(text, clock, where) for text in (start, stop))
        if first > last:
            raise DataError(
                f"{where}: the window from {start} to {stop} is reversed; expected "
                "the earlier time first. Swap them."
            )
        windows.append(LabelledWindow(case, first, last, where, f"{start} to {stop}"))
    if not windows:
        raise DataError(
            f"{path} has no window; expected one or more. Leave data.windows out."
        )
    return windows


def read_json(file: DataFile) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield name, from, to and place of each window of a JSON file.

    Raises:
        DataError: The file is not JSON of this form.
    """
    try:
        document = json.loads("".join(line for _, line in read_lines(file)))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{file.path} is not JSON ({error}); expected "
            '{"name": [["from", "to"], ...]}. Write the file again.'
        ) from error
    if not isinstance(document, dict):
        raise DataError(
            f"{file.path} is a list; expected an object of windows by name, "
            '{"name": [["from", "to"], ...]}. Name the case or series.'
        )
    for name, windows in document.items():
        if not isinstance(windows, list):
            raise wrong_window(file.path, name, windows)
        for k, window in enumerate(windows):
            if not (isinstance(window, list) and len(window) == 2):
                raise wrong_window(file.path, f"{name}, window {k + 1}", window)
            yield name, *window, f"{file.path}, {name}, window {k + 1}"


def wrong_window(path: Path, where: str, found: object) -> DataError:
    """Say what a file of windows has instead of pairs of times."""
    return DataError(
        f"{path}, {where}: {json.dumps(found)[:40]} is not a list of windows; expected "
        "pairs of times, [[from, to], ...]. Correct it."
    )


def read_csv(file: DataFile) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield case, from, to and place of each row of a CSV file.

    Raises:
        DataError: A column is missing, or a row has another number of cells.
    """
    file = find_file(file.path)
    for name in ("from", "to"):
        check_column(file.path, file.columns, name, "data.windows")
    places = {name: file.columns.index(name) for name in ("from", "to")}
    case = file.columns.index("case") if "case" in file.columns else None
    rows = read_rows(file)
    next(rows, None)
    for line, cells in rows:
        where = f"{file.path}, line {line}"
        if len(cells) != len(file.columns):
            raise DataError(
                f"{where}: {len(cells)} cells; the header has {len(file.columns)}. "
                "Give every row a cell per column."
            )
        start, stop = (cells[place].strip() for place in places.values())
        yield "" if case is None else cells[case].strip(), start, stop, where


def read_moment(text: object, clock: Clock, where: str) -> int:
    """Read a time in microseconds since 1970, as the times of the rows are.

    Raises:
        DataError: It is not a time, or has a UTC offset where the rows have none.
    """
    try:
        number = None if clock.form else float(str(text))
    except ValueError:
        number = None
    try:
        if number is not None:
            scale = next(factor for bound, factor in UNITS if abs(number) < bound)
            return round(number * scale) + clock.shift
        moment = (
            datetime.strptime(str(text), clock.form)
            if clock.form
            else datetime.fromisoformat(str(text).replace("/", "-"))
        )
    except (ValueError, StopIteration) as error:
        wanted = clock.form or "ISO 8601, such as 2014-07-01 00:30:00"
        raise DataError(
            f"{where}: {str(text)[:40]!r} is not a time; expected {wanted}. Write it "
            "as the times of the data are."
        ) from error
    zoned = moment.tzinfo is not None
    if not clock.form and zoned != clock.zoned:
        own, others = ("a", "none") if zoned else ("no", "one")
        raise DataError(
            f"{where}: {text!r} has {own} UTC offset, and the times of the data have "
            f"{others}. Write both in one way."
        )
    whole = (moment if zoned else moment.replace(tzinfo=UTC)) - EPOCH
    return whole // timedelta(microseconds=1) + clock.shift


def choose_own(
    windows: Sequence[LabelledWindow], path: Path, data: Path
) -> list[LabelledWindow]:
    """Choose the windows of one series that is a file of its own.

    A name is that of the file, with folders before it as the Numenta Anomaly Benchmark
    writes them, or with no suffix.

    Raises:
        DataError: There are windows, and all are of other files.
    """
    own = {"", data.name, data.name.partition(".")[0]}
    chosen = [w for w in windows if w.case.rpartition("/")[2] in own]
    if windows and not chosen:
        raise DataError(
            f"{path} has no window of {data.name}; its names are "
            f"{', '.join(sorted({w.case for w in windows})[:8])}. Name the windows "
            "after the file."
        )
    return [window._replace(case="") for window in chosen]


def mark_windows(
    windows: Iterable[LabelledWindow],
    case_names: Sequence[str],
    times: Sequence[Array],
    what: str,
) -> list[Array]:
    """Enumerate the rows inside of windows, case by case.

    Windows of a case that overlap are one.

    Args:
        windows: Of all cases.
        case_names: Of the cases.
        times: Of each case, of shape (rows,), rising.
        what: A case, in words: `case` or `series`.

    Returns:
        Of each case int32 of shape (rows,): the number of the row's window, from 1 and
        different in all cases; 0 outside.

    Raises:
        DataError: A window has no row.
    """
    index = {name: k for k, name in enumerate(case_names)}
    marks = [np.zeros(len(one), np.int32) for one in times]
    number, last_case, last_stop = 0, -1, 0
    checked = [(find_case(w, index, what), w) for w in windows]
    for case, window in sorted(checked, key=lambda one: (one[0], one[1].start)):
        first = int(np.searchsorted(times[case], window.start, "left"))
        stop = int(np.searchsorted(times[case], window.stop, "right"))
        if first == stop:
            name = f"{what} {window.case!r}" if window.case else f"the {what}"
            raise DataError(
                f"{window.where}: no row of {name} is from {window.text}. "
                "Correct the times, or leave the window out."
            )
        if case != last_case or window.start > last_stop:
            number, last_case, last_stop = number + 1, case, window.stop
        last_stop = max(last_stop, window.stop)
        marks[case][first:stop] = number
    return marks


def find_case(window: LabelledWindow, index: Mapping[str, int], what: str) -> int:
    """Find the case of a window.

    Raises:
        DataError: The data have no such case.
    """
    if window.case in index:
        return index[window.case]
    raise DataError(
        f"{window.where}: the data have no {what} {window.case!r}. Correct the "
        "name, or leave the window out."
    )


def mark_column(codes: Array, names: Sequence[str], offsets: Array) -> Array:
    """Enumerate the runs of rows that a column puts inside of an anomaly.

    Args:
        codes: Of shape (rows,), positions in `names`.
        names: Of the column.
        offsets: Of the cases; a run ends with its case.

    Returns:
        int32 of shape (rows,): the number of the row's run, from 1; 0 outside.
    """
    says = np.array([name.strip().lower() not in OUTSIDE for name in names], bool)
    inside = says[codes]
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    first = np.zeros(len(inside), bool)
    first[offsets[:-1]] = True
    begins |= inside & first
    return np.where(inside, np.cumsum(begins), 0).astype(np.int32)
