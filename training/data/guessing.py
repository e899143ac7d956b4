"""Guesses of the roles of columns, from their names first, then from their cells.

Looks at every row of the table `raw`; decides nothing that cannot be overridden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from training.data.tables import Table
from training.data.times import ISO, NUMBER

CASE = re.compile(
    r"case|trace|session|user|customer|client|visitor|reader|order|ticket|machine"
    r"|device|host|patient|account|_id$|^id$",
    re.I,
)
# Each row its own case: only a column that says so is one, other ids are of rows.
CASE_ALONE = re.compile(r"case(?!.*event)", re.I)
EVENT = re.compile(
    r"event|activity|action|concept:name|section|page|step|status|state|type|message"
    r"|command|code",
    re.I,
)
TIME = re.compile(r"time|date|stamp|when|^ts$|_at$", re.I)
LABEL = re.compile(r"label|class|outcome|target|result", re.I)
# Cells of a column of times or numbers that have to be one.
MIN_SHARE = 0.9
# A column with more names than this share of the rows names rows, not events.
MAX_NAMES_SHARE = 0.5
# A column of numbers with more different ones is a measurement, whatever it measures.
MAX_CODES = 100


class Column(NamedTuple):
    """Counts of a column.

    Args:
        name: Its name.
        filled: Cells that are not empty.
        distinct: Different ones among them, about.
        times: Cells that are ISO 8601 times.
        numbers: Cells that are numbers.
    """

    name: str
    filled: int
    distinct: int
    times: int
    numbers: int

    @property
    def is_time(self) -> bool:
        """True if it has times, or numbers under a name for times."""
        is_named = (
            bool(TIME.search(self.name)) and self.numbers > MIN_SHARE * self.filled
        )
        return bool(self.filled) and (self.times > MIN_SHARE * self.filled or is_named)

    @property
    def is_number(self) -> bool:
        """True if it has numbers."""
        return bool(self.filled) and self.numbers > MIN_SHARE * self.filled


def describe_columns(table: Table) -> list[Column]:
    """Count what every column of the table `raw` has."""
    parts = []
    for k in range(len(table.columns)):
        parts += [
            f"count(c{k})",
            f"approx_count_distinct(c{k})",
            f"count_if(regexp_matches(c{k}, '{ISO}'))",
            f"count_if(regexp_matches(c{k}, '{NUMBER}'))",
        ]
    counts = table.ask(f"select {', '.join(parts)} from raw")
    return [
        Column(name, *counts[4 * k : 4 * k + 4]) for k, name in enumerate(table.columns)
    ]


def guess_roles(
    columns: Sequence[Column], rows: int, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Guess the columns of case, event, time and label, as far as there are any.

    Args:
        columns: Of the table.
        rows: How many it has.
        given: Columns that are known, by role: no other role has them.
    """
    roles = dict(given or {})
    left = [c for c in columns if c.distinct > 0 and c.name not in roles.values()]
    times = [column for column in left if column.is_time]
    if times and "time" not in roles:
        roles["time"] = best(times, TIME).name
        left = [column for column in left if not column.is_time]
    # An empty cell or two is a mistake in a column, and is listed as one.
    filled = [column for column in left if column.filled > MIN_SHARE * rows]
    cases = [column for column in filled if column.distinct < rows]
    named = [c for c in cases if CASE.search(c.name) and not is_event(c)]
    # Of cases of one event; the count of many different names is rough.
    named = named or [column for column in filled if CASE_ALONE.match(column.name)]
    cases = cases or named
    if cases and "case" not in roles:
        texts = [column for column in cases if not column.is_number]
        chosen = max(named or texts or cases, key=lambda c: c.distinct)
        roles["case"] = chosen.name
        left = [column for column in left if column is not chosen]
    events = [
        c
        for c in filled
        if c in left and c.distinct <= MAX_NAMES_SHARE * rows and not is_measured(c)
    ]
    if events and "event" not in roles:
        chosen = best(events, EVENT)
        roles["event"] = chosen.name
        left = [column for column in left if column is not chosen]
    # One label in all rows teaches nothing.
    labels = [c for c in left if LABEL.search(c.name) and c.distinct > 1]
    if labels and "label" not in roles:
        roles["label"] = labels[0].name
    return order_roles(roles)


def is_measured(column: Column) -> bool:
    """Recognize numbers that are values, not codes of what happened."""
    is_named = bool(EVENT.search(column.name))
    return column.is_number and column.distinct > MAX_CODES and not is_named


def is_event(column: Column) -> bool:
    """Recognize a column that names events, though its name would do for cases too."""
    return bool(EVENT.search(column.name)) and not re.search(r"id$", column.name, re.I)


def best(columns: Sequence[Column], pattern: re.Pattern[str]) -> Column:
    """Choose the column with the likeliest name, else the one with fewest names."""
    named = [column for column in columns if pattern.search(column.name)]
    texts = [column for column in named or columns if not column.is_number]
    chosen = texts or named or columns
    return min(chosen, key=lambda column: column.distinct) if not named else chosen[0]


def order_roles(roles: Mapping[str, str]) -> dict[str, str]:
    """Put roles into the order in which a configuration has them."""
    order = ("case", "event", "time", "label")
    return {role: roles[role] for role in order if role in roles}
