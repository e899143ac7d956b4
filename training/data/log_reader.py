"""Reader of event logs: a file to codes, sorted by case, time and order of the file.

The file is a table of text in DuckDB (`training.data.tables`); sorting and numbering of
names are SQL, so that a log may be larger than memory until its codes are fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training.data.anomalies import mark_column
from training.data.dataset import Array
from training.data.event_log import Coded, EventLog, Roles
from training.data.files import find_file, fingerprint_file, read_lines
from training.data.tables import Table, open_table
from training.data.times import Times, read_times
from training.errors import DataError

# The largest number a float32 has room for, with what rounds to it.
TOO_LARGE = 2.0**128 - 2.0**103


def read_log(
    path: Path, roles: Roles, asked: Mapping[str, str] | None = None
) -> EventLog:
    """Read and sort an event log.

    Args:
        path: The file.
        roles: Which columns are what.
        asked: The columns by the options that name them, where those are not the
            roles' own.

    Raises:
        DataError: The file or a row of it cannot be read; with the line.
    """
    with open_table(path) as table:
        asked = asked or roles.asked()
        table.check_columns(asked)
        names = list(dict.fromkeys(asked.values()))
        table.load(names)
        place = {name: f"c{k}" for k, name in enumerate(names)}
        for role, column in (("case", roles.case), ("event", roles.event)):
            if column:
                refuse_missing(table, place[column], role, column)
        return sort_log(table, roles, place, fingerprint_file(path))


def refuse_missing(table: Table, column: str, role: str, name: str) -> None:
    """Refuse a row without a case, an event or a time.

    Raises:
        DataError: There is such a row; with its line.
    """
    if found := table.ask(f"select min(rowid) from raw where {column} is null"):
        if found[0] is None:
            return
        advice = " Or leave data.time out: the file's order counts then."
        raise DataError(
            f"{table.where(found[0])}, column {name} is empty; every event needs its "
            f"{role}. Fill it in, or leave the row out."
            f"{advice if role == 'time' else ''}"
        )


def sort_log(
    table: Table, roles: Roles, place: Mapping[str, str], fingerprint: str
) -> EventLog:
    """Sort the table `raw`, and fetch it as codes."""
    case = place[roles.case] if roles.case else "''"
    number_names(table, "cases", case, by="min(rowid)")  # in the file's order
    selected = ["cases.code as c"]
    joins = [f"join cases on {case} = cases.value"]
    for name in coded_columns(roles):
        column = place[name]
        names = f"names_{column}"
        number_names(table, names, f"coalesce({column}, '')", by="value")
        selected.append(f"{names}.code as {column}")
        joins.append(f"join {names} on coalesce(raw.{column}, '') = {names}.value")
    for name in roles.numbers:
        column = place[name]
        check_numbers(table, column, name, roles.missing)
        selected.append(f"try_cast(raw.{column} as double) as {column}_number")
    order = "c, raw.rowid"
    zoned = False
    if roles.time:
        role = "row's time" if roles.is_series else "time"
        refuse_missing(table, place[roles.time], role, roles.time)
        times = read_times(table, place[roles.time], roles.time, roles.time_format)
        if roles.is_series:
            refuse_twofold(table, case, times, roles.time)
        selected += [f"{times.instant} as instant", f"{times.clock} as clock"]
        order = "c, instant, raw.rowid"
        zoned = times.instant != times.clock
    table.connection.execute(
        f"create table sorted as select {', '.join(selected)} from raw "
        f"{' '.join(joins)} order by {order}"
    )
    table.connection.execute("drop table raw")
    log = fetch_log(table, roles, place, fingerprint)
    return replace(log, zoned=zoned, note=table.note)


def refuse_twofold(table: Table, case: str, times: Times, name: str) -> None:
    """Refuse two rows of a series at one time, or on two clocks.

    Raises:
        DataError: There are such rows; with the line of the later one.
    """
    shift = f"({times.instant}) - ({times.clock})"
    found = table.ask(
        f"select rowid from raw where ({shift}) <> (select {shift} from raw limit 1) "
        "order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name} has another UTC offset than the "
            "times before it. Write all times on one clock."
        )
    found = table.ask(
        "select rowid from (select rowid, row_number() over (partition by "
        f"{case}, ({times.instant}) order by rowid) as place from raw) "
        "where place > 1 order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name} has the time of an earlier row of "
            "its series. Merge rows of the same time, or name the series: data.case."
        )


def number_names(table: Table, names: str, column: str, *, by: str) -> None:
    """Make a table of a column's names with their codes, in an order."""
    table.connection.execute(
        f"create table {names} as select value, "
        f"(row_number() over (order by place, value) - 1)::uinteger as code from "
        f"(select {column} as value, {by} as place from raw group by {column})"
    )


def coded_columns(roles: Roles) -> list[str]:
    """List the columns of names but the case, each once."""
    several = [
        *(roles.event, *roles.categories),
        *(roles.label, roles.fold, roles.anomaly),
    ]
    return list(dict.fromkeys(name for name in several if name))


def check_numbers(table: Table, column: str, name: str, missing: str) -> None:
    """Refuse what is not a finite number, and a missing one unless it is filled.

    Raises:
        DataError: There is such a number; with its line.
    """
    wrong = (
        f"{column} is not null and not coalesce(abs(try_cast({column} as double)) "
        f"< {TOO_LARGE!r}, false)"
    )
    found = table.ask(
        f"select rowid, {column} from raw where {wrong} order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name}: {found[1][:40]!r} is not a "
            "finite number; write digits with a decimal point, such as 10844 or 0.5."
        )
    if missing == "refuse":
        found = table.ask(f"select min(rowid) from raw where {column} is null")
        if found[0] is not None:
            raise DataError(
                f"{table.where(found[0])}, column {name} is empty; expected a number. "
                'Fill it in, or set data.missing = "previous".'
            )


def fetch_log(
    table: Table, roles: Roles, place: Mapping[str, str], fingerprint: str
) -> EventLog:
    """Fetch the table `sorted` as arrays."""
    (num_rows,) = table.ask("select count(*) from sorted")
    case_names = fetch_names(table, "cases")
    coded = {
        name: Coded(
            np.empty(num_rows, smallest_type(table, f"names_{place[name]}")),
            list(fetch_names(table, f"names_{place[name]}")),
        )
        for name in coded_columns(roles)
    }
    numbers = {name: np.empty(num_rows) for name in roles.numbers}
    targets: dict[str, Array] = {"c": np.empty(num_rows, np.uint32)}
    targets |= {place[name]: column.codes for name, column in coded.items()}
    targets |= {f"{place[name]}_number": column for name, column in numbers.items()}
    if roles.time:
        targets |= {name: np.empty(num_rows, np.int64) for name in ("instant", "clock")}
    row = 0
    for chunk in table.chunks("sorted", ", ".join(targets)):
        stop = row + len(chunk["c"])
        for name, target in targets.items():
            target[row:stop] = fill_masked(chunk[name])
        row = stop
    return build_log(roles, targets, coded, numbers, case_names, fingerprint)


def fill_masked(column: Any) -> Array:
    """Write NaN where a number is missing."""
    filled: Array = (
        np.ma.filled(column, np.nan) if np.ma.isMaskedArray(column) else column
    )
    return filled


def fetch_names(table: Table, names: str) -> Any:
    """Fetch the names of codes, in order."""
    dtype = np.dtypes.StringDType()
    parts = [
        np.array(chunk["value"].tolist(), dtype)
        for chunk in table.chunks(names, "value")
    ]
    return np.concatenate(parts)


def smallest_type(table: Table, names: str) -> Any:
    """Choose the narrowest type that has room for the codes of a table of names."""
    (count,) = table.ask(f"select count(*) from {names}")
    return np.min_scalar_type(int(count))


def build_log(
    roles: Roles,
    columns: Mapping[str, Array],
    coded: Mapping[str, Coded],
    numbers: Mapping[str, Array],
    case_names: Any,
    fingerprint: str,
) -> EventLog:
    """Put the columns of a sorted log into its parts."""
    counts = np.bincount(columns["c"], minlength=len(case_names))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    times = columns.get("instant")
    equal = 0
    if times is not None:
        is_next = np.diff(columns["c"]) == 0
        equal = int(np.count_nonzero(is_next & (np.diff(times) == 0)))
    return EventLog(
        offsets=offsets,
        case_names=case_names,
        events=coded[roles.event] if roles.event else unnamed(len(columns["c"])),
        fingerprint=fingerprint,
        times=times,
        clocks=columns.get("clock"),
        label=coded[roles.label] if roles.label else None,
        numbers=numbers,
        categories={name: coded[name] for name in roles.categories},
        folds=fold_cases(coded[roles.fold], offsets, roles.fold, case_names)
        if roles.fold
        else None,
        windows=mark_column(*coded[roles.anomaly], offsets) if roles.anomaly else None,
        equal_times=equal,
    )


def unnamed(num_rows: int) -> Coded:
    """Stand for what happened where there are numbers only."""
    return Coded(np.zeros(num_rows, np.uint8), ["row"])


def fold_cases(fold: Coded, offsets: Array, name: str, case_names: Any) -> Coded:
    """Find the part every case belongs to.

    Raises:
        DataError: A case belongs to two.
    """
    first = fold.codes[offsets[:-1]]
    differs = fold.codes != np.repeat(first, np.diff(offsets))
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        case = int(np.searchsorted(offsets, row, "right")) - 1
        raise DataError(
            f"case {case_names[case]!r} has more than one {name} "
            f"({fold.names[first[case]]!r}, {fold.names[fold.codes[row]]!r}); "
            "expected one for all its events. Correct data.fold_column."
        )
    return Coded(first, fold.names)


def read_text(path: Path) -> EventLog:
    """Read plain text as one case, an event per character.

    Raises:
        DataError: The file is not UTF-8.
    """
    text = "".join(line for _, line in read_lines(find_file(path)))
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known, codes = np.unique(points, return_inverse=True)
    return EventLog(
        offsets=np.array([0, len(points)]),
        case_names=np.array([path.name], np.dtypes.StringDType()),
        events=Coded(
            codes.astype(np.min_scalar_type(len(known))), [chr(c) for c in known]
        ),
        fingerprint=fingerprint_file(path),
    )
