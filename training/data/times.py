"""Times of a table as SQL: ISO 8601, a format of the user's, or seconds since 1970.

Events are ordered by their instant; a network sees the wall clock on which an event
was written, since a day's pattern follows that. So an offset such as +02:00 counts for
the order only.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from training.data.tables import Table, quote
from training.errors import DataError

DAY = 86_400_000_000  # microseconds
ZONE = r"\s?(Z|UTC|[+-]\d\d(:?\d\d)?)$"
STAMP = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}(:\d\d(:\d\d(\.\d+)?)?)?)?"
ISO = rf"({STAMP}$|{STAMP.removesuffix('?')}{ZONE})"
NUMBER = r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"
# Digits that are dates, though numbers to look at.
DATE = r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])"
COMPACT = {
    f"^{DATE}$": "%Y%m%d",
    rf"^{DATE}[0-2]\d[0-5]\d$": "%Y%m%d%H%M",
    rf"^{DATE}[0-2]\d[0-5]\d[0-5]\d$": "%Y%m%d%H%M%S",
}
# Larger numbers than these are milliseconds, microseconds, nanoseconds since 1970.
UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e19, 1e-3))
# Of the cells of a column; the rest is then refused, as no number of seconds either.
MAX_DATES_SHARE = 0.5
# Microseconds since 1970 of 1990 and 2100, between which logs are written.
LIKELY = (631_152_000e6, 4_102_444_800e6)


class Times(NamedTuple):
    """Two expressions over the table `raw`, in microseconds since 1970.

    Args:
        instant: At UTC, where times have offsets.
        clock: On the wall.
    """

    instant: str
    clock: str


def read_times(table: Table, column: str, name: str, form: str | None) -> Times:
    """Find out how a column's times are written, and check every one.

    Raises:
        DataError: A time cannot be read, or some have an offset and others none.
    """
    form = form or find_compact(table, column)
    if form:
        check_form(table, form)
        micros = f"epoch_us(try_strptime({column}, {quote(form)}))"
        refuse_wrong(
            table, column, name, micros, f"a time of the form {form}; correct it"
        )
        return Times(micros, micros)
    (first,) = table.ask(f"select {column} from raw limit 1")
    (is_number,) = table.ask(f"select regexp_matches({quote(first)}, '{NUMBER}')")
    if is_number:
        return read_numbers(table, column, name)
    text = f"regexp_extract({column}, '{STAMP}')"
    # DuckDB wants minutes after an hour.
    whole = f"regexp_replace({text}, '([T ]\\d{{1,2}})$', '\\1:00')"
    stamp = f"try_cast({whole} as timestamp)"
    clock = f"case when regexp_matches({column}, '{ISO}') then epoch_us({stamp}) end"
    wanted = "a time; write ISO 8601, such as 2014-07-01 00:30:00"
    refuse_wrong(table, column, name, clock, wanted)
    zone = f"regexp_matches({column}, '[T ]\\d.*{ZONE}')"
    refuse_mixed(table, column, name, zone)
    (has_offset,) = table.ask(f"select bool_or({zone}) from raw")
    if not has_offset:
        return Times(clock, clock)
    offset = f"regexp_extract({column}, '([+-]\\d\\d):?(\\d\\d)?$', 0)"
    sign = f"case when {offset} like '-%' then -1 else 1 end"
    hours = f"coalesce(try_cast(substr({offset}, 2, 2) as bigint), 0)"
    minutes = f"coalesce(try_cast(right({offset}, 2) as bigint), 0)"
    minutes = f"case when length({offset}) > 3 then {minutes} else 0 end"
    shift = f"({sign}) * ({hours} * 60 + {minutes}) * 60000000"
    return Times(f"({clock}) - {shift}", clock)


def find_compact(table: Table, column: str) -> str | None:
    """Find the form of dates of digits alone, such as 20240131; None without any."""
    for pattern, form in COMPACT.items():
        is_date = f"regexp_matches({column}, '{pattern}')"
        (dates,) = table.ask(f"select count_if({is_date}) / count(*) from raw")
        if dates > MAX_DATES_SHARE:
            return form
    return None


def check_form(table: Table, form: str) -> None:
    """Refuse a form that no time can have.

    Raises:
        DataError: The form has an unknown directive.
    """
    try:
        table.ask(f"select try_strptime('', {quote(form)})")
    except duckdb.Error as error:
        raise DataError(
            f"data.time_format is {form!r} ({str(error).splitlines()[0]}); expected a "
            "form as strptime has it, such as %d.%m.%Y %H:%M. Correct it."
        ) from error


def read_numbers(table: Table, column: str, name: str) -> Times:
    """Read seconds since 1970, or thousandths where the numbers are that large.

    Raises:
        DataError: One is no number, or the column has seconds and milliseconds.
    """
    number = f"try_cast({column} as double)"
    is_number = f"regexp_matches({column}, '{NUMBER}') and abs({number}) < 1e19"
    value = f"case when {is_number} then {number} end"
    refuse_wrong(
        table, column, name, value, "a number, as the times before it are; write one"
    )
    (largest,) = table.ask(f"select max(abs({value})) from raw")
    scale = next(factor for bound, factor in UNITS if largest < bound)
    refuse_units(table, column, name, value, largest, scale)
    micros = f"round({value} * {scale!r})::bigint"
    return Times(micros, micros)


def refuse_units(
    table: Table, column: str, name: str, value: str, largest: float, scale: float
) -> None:
    """Refuse seconds among milliseconds: both are times of these years as such.

    Raises:
        DataError: There are both; with the line of the first one.
    """
    if not LIKELY[0] <= largest * scale <= LIKELY[1]:
        return
    sizes = " ".join(
        f"when abs({value}) < {bound!r} then {factor!r}" for bound, factor in UNITS
    )
    own = f"(case {sizes} end)"
    found = table.ask(
        f"select rowid, {column} from raw where {own} <> {scale!r} and "
        f"({value}) * {own} between {LIKELY[0]!r} and {LIKELY[1]!r} "
        "order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name}: {found[1][:40]!r} is not in the "
            "unit of the largest time, as seconds among milliseconds. Write all times "
            "of the column in one unit."
        )


def refuse_wrong(table: Table, column: str, name: str, micros: str, what: str) -> None:
    """Refuse the first cell that is no time.

    Raises:
        DataError: There is such a cell; with its line.
    """
    found = table.ask(
        f"select rowid, {column} from raw where ({micros}) is null "
        "order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name}: {found[1][:40]!r} is not {what}, "
            "or set data.time_format."
        )


def refuse_mixed(table: Table, column: str, name: str, zone: str) -> None:
    """Refuse times of which some have an offset and others have none.

    Raises:
        DataError: There are both; with the line of the first other one.
    """
    found = table.ask(
        f"select rowid, {column} from raw where ({zone}) <> "
        f"(select {zone} from raw limit 1) order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name}: {found[1][:40]!r}; some times "
            "have a UTC offset and others have none. Write all of them in one way."
        )
