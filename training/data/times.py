"""Times of a table as SQL: ISO 8601, a format of the user's, or seconds since 1970.

Events are ordered by their instant; a network sees the wall clock on which an event
was written, since a day's pattern follows that. So an offset such as +02:00 counts for
the order only.
"""

from __future__ import annotations

from typing import NamedTuple

from training.data.tables import Table, quote
from training.errors import DataError

DAY = 86_400_000_000  # microseconds
ZONE = r"\s?(Z|UTC|[+-]\d\d(:?\d\d)?)$"
STAMP = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}(:\d\d(:\d\d(\.\d+)?)?)?)?"
ISO = rf"({STAMP}$|{STAMP.removesuffix('?')}{ZONE})"
NUMBER = r"^-?\d+(\.\d+)?$"
# Larger numbers than these are milliseconds, microseconds, nanoseconds since 1970.
UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (float("inf"), 1e-3))


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
    if form:
        micros = f"epoch_us(try_strptime({column}, {quote(form)}))"
        refuse_wrong(table, column, name, micros, f"a time of the form {form}")
        return Times(micros, micros)
    (first,) = table.ask(f"select {column} from raw limit 1")
    (is_number,) = table.ask(f"select regexp_matches({quote(first)}, '{NUMBER}')")
    if is_number:
        return read_numbers(table, column, name)
    text = f"regexp_extract({column}, '{STAMP}')"
    # DuckDB wants minutes behind an hour.
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


def read_numbers(table: Table, column: str, name: str) -> Times:
    """Read seconds since 1970, or thousandths where the numbers are that large."""
    value = f"try_cast({column} as double)"
    refuse_wrong(
        table, column, name, value, "a number, as the times before it are; write one"
    )
    (largest,) = table.ask(f"select max(abs({value})) from raw")
    scale = next(factor for bound, factor in UNITS if largest < bound)
    micros = f"round({value} * {scale!r})::bigint"
    return Times(micros, micros)


def refuse_wrong(table: Table, column: str, name: str, micros: str, what: str) -> None:
    """Refuse the first cell that is no time."""
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
    """Refuse times of which some have an offset and others have none."""
    found = table.ask(
        f"select rowid, {column} from raw where ({zone}) <> "
        f"(select {zone} from raw limit 1) order by rowid limit 1"
    )
    if found:
        raise DataError(
            f"{table.where(found[0])}, column {name}: {found[1][:40]!r}; some times "
            "have a UTC offset and others have none. Write all of them in one way."
        )
