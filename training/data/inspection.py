"""Inspection of a file of events: rows, cases, names, times, and its problems.

Nothing is changed and nothing refused that can be said. The roles of columns that are
not given are guessed by `training.data.guessing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.data.event_log import EventLog, Roles
from training.data.files import find_file, fingerprint_file
from training.data.guessing import TIME, Column, describe_columns, guess_roles
from training.data.log_reader import read_text, sort_log
from training.data.series import SeriesOptions, load_series
from training.data.series_file import SeriesColumns, read_series
from training.data.series_inspection import (
    describe_series,
    guess_series,
    start_series,
)
from training.data.splits import show_time
from training.data.tables import Table, open_table
from training.data.times import ISO, NUMBER
from training.errors import DataError

SHOWN_NAMES = 10
SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Inspection:
    """Result of an inspection.

    Args:
        form: Of the file.
        rows: How many it has.
        columns: Their names.
        roles: Which column is what, as keys of `[data]`.
        facts: Lines to print, by what they are about.
        problems: What is wrong, each with its line.
        log: The log itself; None where a problem keeps it from being read.
        series: The `[data]` to start from, where the file is a series.
    """

    form: str
    rows: int
    columns: list[str]
    roles: Mapping[str, str]
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    log: EventLog | None = None
    series: Mapping[str, Any] | None = None


def inspect_file(path: Path, given: Mapping[str, str]) -> Inspection:
    """Look at a file.

    Args:
        path: The file.
        given: Roles of columns that are known.

    Raises:
        DataError: It cannot be read at all.
    """
    if find_file(path).form == "text":
        if given:
            raise DataError(
                f"{path} is plain text by its name, an event per character, and has no "
                f"columns; --{next(iter(given))} names one. Leave it out; or where the "
                "file is CSV, rename it to .csv."
            )
        log = read_text(path)
        return Inspection("text", log.num_rows, [], {}, describe_log(log), (), log)
    with open_table(path) as table:
        table.check_columns({f"--{role}": name for role, name in given.items()})
        times = Counter(table.columns)
        table.columns = [name for name, count in times.items() if count == 1]
        rows = table.load(table.columns)
        counted = describe_columns(table)
        roles = guess_roles(counted, rows, given)
        if columns := guess_series(counted, roles, given.values()):
            return inspect_series(path, table, rows, columns)
        problems = [
            f"line 1: the header has {name!r} {count} times"
            for name, count in times.items()
            if count > 1
        ]
        problems += find_unread_times(table, counted, roles)
        if table.note:
            problems.append(table.note)
        return inspect_table(table, rows, roles, problems)


def inspect_series(
    path: Path, table: Table, rows: int, columns: SeriesColumns
) -> Inspection:
    """Look at a file of numbers over time."""
    roles = {"time": columns.time, "value": columns.value}
    if columns.case:
        roles = {"case": columns.case, **roles}
    form, names = table.file.form, table.columns
    facts: Mapping[str, str] = {}
    try:
        facts = describe_series(read_series(path, columns))
        start = start_series(path, columns, rows)
        # What `fit` would refuse is not proposed.
        load_series(SeriesOptions(**start), seed=1)
    except DataError as error:
        return Inspection(form, rows, names, roles, facts, (str(error),))
    return Inspection(form, rows, names, roles, facts, series=start)


def inspect_table(
    table: Table, rows: int, roles: Mapping[str, str], problems: list[str]
) -> Inspection:
    """Look at the table `raw`, then sort it."""
    form, columns = table.file.form, list(table.columns)
    missing = [role for role in ("case", "event") if role not in roles]
    if missing:
        problems.append(
            f"no column looks like the {' or the '.join(missing)}; name it with "
            f"--{missing[0]}"
        )
        return Inspection(form, rows, columns, roles, {}, tuple(problems))
    places = {role: f"c{columns.index(name)}" for role, name in roles.items()}
    wrong = find_empty(table, roles, places)
    problems += [*wrong, *find_duplicates(table, places)]
    if wrong:
        return Inspection(form, rows, columns, roles, {}, tuple(problems))
    try:
        log = sort_log(
            table,
            Roles(roles["case"], roles["event"], roles.get("time"), roles.get("label")),
            {name: places[role] for role, name in roles.items()},
            fingerprint_file(table.file.path),
        )
    except DataError as error:
        problems.append(str(error))
        return Inspection(form, rows, columns, roles, {}, tuple(problems))
    facts = describe_log(log)
    return Inspection(form, rows, columns, roles, facts, tuple(problems), log)


def find_unread_times(
    table: Table, columns: Sequence[Column], roles: Mapping[str, str]
) -> list[str]:
    """Find a column that is named as times are, and written in another form."""
    if "time" in roles:
        return []
    unread = [
        c for c in columns if TIME.search(c.name) and c.name not in roles.values()
    ]
    problems = []
    for column in unread:
        cell = f"c{table.columns.index(column.name)}"
        found = table.ask(
            f"select rowid, {cell} from raw where {cell} is not null and "
            f"not regexp_matches({cell}, '{ISO}') order by rowid limit 1"
        )
        if found:
            problems.append(
                f"{table.where(found[0])}: column {column.name} has "
                f"{found[1][:SHOWN_CHARACTERS]!r}, which is not ISO 8601, so that the "
                "order of the file counts; data.time with data.time_format reads it"
            )
    return problems


def find_empty(
    table: Table, roles: Mapping[str, str], places: Mapping[str, str]
) -> list[str]:
    """Find cells that are empty and must not be, and times that are none."""
    problems = []
    for role in ("case", "event", "time"):
        if role not in roles:
            continue
        column = places[role]
        is_wrong = f"{column} is null"
        if role == "time":
            is_wrong = (
                f"not coalesce(regexp_matches({column}, '{ISO}|{NUMBER}'), false)"
            )
        count, first, cell = table.ask(
            f"select count(*), min(rowid), arg_min(coalesce({column}, ''), rowid) "
            f"from raw where {is_wrong}"
        )
        if count:
            what = f"has {cell[:SHOWN_CHARACTERS]!r}, which is no time"
            problems.append(
                f"{table.where(first)}: column {roles[role]} "
                f"{what if cell else 'is empty'}{count_more(count)}"
            )
    return problems


def find_duplicates(table: Table, places: Mapping[str, str]) -> list[str]:
    """Find rows that say what another one says already."""
    if "time" not in places:
        return []  # the same event twice in a row is nothing unusual
    columns = ", ".join(places.values())
    count, first = table.ask(
        "select count(*), min(rowid) from (select rowid, row_number() over "
        f"(partition by {columns} order by rowid) as place from raw) where place > 1"
    )
    if not count:
        return []
    return [
        f"{table.where(first)}: the same case, event and time as an earlier row"
        f"{count_more(count)}"
    ]


def count_more(count: int) -> str:
    """Say in how many rows more something is found, if in any."""
    return f", here and in {count - 1:,} more rows" if count > 1 else ""


def describe_log(log: EventLog) -> dict[str, str]:
    """Describe a log in a line each about cases, events and times."""
    lengths = log.lengths
    longest = int(lengths.argmax())
    facts = {
        "cases": f"{log.num_cases:,}; events each: median {np.median(lengths):,.10g}, "
        f"95% {np.percentile(lengths, 95):,.10g}, longest {lengths.max():,} (case "
        f"{str(log.case_names[longest])[:SHOWN_CHARACTERS]!r})",
        "events": describe_names(log),
    }
    if log.times is not None:
        facts["time"] = describe_times(log, log.times)
    if log.label is not None:
        facts["label"] = f"{len(log.label.names):,} different"
    return facts


def describe_names(log: EventLog) -> str:
    """Describe the vocabulary: the most frequent names with their shares."""
    counts = np.bincount(log.events.codes, minlength=len(log.events.names))
    order = np.argsort(-counts, kind="stable")[:SHOWN_NAMES]
    shares = ", ".join(
        f"{log.events.names[k][:SHOWN_CHARACTERS]!r} {counts[k] / log.num_rows:.1%}"
        for k in order
    )
    more = ", ..." if len(counts) > SHOWN_NAMES else ""
    once = int(np.count_nonzero(counts == 1))
    return f"{len(counts):,} different, {once:,} of them once: {shares}{more}"


def describe_times(log: EventLog, times: np.ndarray) -> str:
    """Describe when it all happened, and when for longest nothing did."""
    ordered = np.sort(times)
    gap = np.diff(ordered)
    described = f"{show_time(ordered[0])} to {show_time(ordered[-1])}"
    if len(gap):
        place = int(gap.argmax())
        described += (
            f"; longest gap {show_span(int(gap[place]))} from "
            f"{show_time(ordered[place])}"
        )
    return f"{described}; {log.equal_times:,} events at the time of the one before"


def show_span(micros: int) -> str:
    """Write a time between two events."""
    seconds = micros / 1e6
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
