"""Features for gradient boosting: the last few events, the position in the case.

Of each of the last events its name; of records also the other columns of the last two,
and of times what a clock shows, the time since the event before and since the first.
Nothing after the event is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.fields import take_events

NUM_LAST, NUM_LAST_FIELDS = 4, 2
# Names that keep a code of their own; the rest, all rarer, share the last one.
MAX_NAMES = 254
# Events with a count of their own.
MAX_COUNTED = 16
SECONDS_PER_DAY, DAYS_PER_WEEK = 86_400, 7


class Features(NamedTuple):
    """Features by event.

    Args:
        table: float64 of shape (events, features); NaN where nothing is known.
        names: Which features are codes of names.
    """

    table: Array
    names: list[bool]


def describe(
    inputs: Array, offsets: Array, columns: Sequence[str], *, counts: bool
) -> Features:
    """Describe every event with what came before it.

    Args:
        inputs: Of shape (rows,), or (rows, columns) for records.
        offsets: Sequence k has the rows from offsets[k] to offsets[k + 1].
        columns: What each column is: name, number, days or seconds.
        counts: Whether to count each frequent event in the case so far.
    """
    begins = np.repeat(offsets[:-1], np.diff(offsets))
    places = np.arange(len(begins)) - begins
    events = np.minimum(take_events(inputs), MAX_NAMES - 1).astype(float)
    parts = [look_back(events, places, back) for back in range(NUM_LAST)]
    names = [True] * NUM_LAST
    parts.append(places.astype(float))
    names.append(False)
    if counts:
        counted = count_events(events, begins)
        parts += list(counted.T)
        names += [False] * MAX_COUNTED
    for column, kind in enumerate(columns):
        if column == 0:
            continue
        own = describe_column(inputs, column, kind, places, begins)
        parts += own
        names += [kind == "name"] * len(own)
    return Features(np.stack(parts, axis=1), names)


def describe_column(
    inputs: Array, column: int, kind: str, places: Array, begins: Array
) -> list[Array]:
    """Describe one column of records."""
    values = inputs[:, column].astype(float)
    if kind == "days":  # with the seconds of the day after it
        clock = values * SECONDS_PER_DAY + inputs[:, column + 1]
        gap = clock - look_back(clock, places, 1)
        since = [clock - clock[begins], gap, look_back(gap, places, 1)]
        return [values % DAYS_PER_WEEK, *since]
    if kind == "seconds":
        return [values]
    if kind == "name":
        values = np.minimum(values, MAX_NAMES - 1)
    return [look_back(values, places, back) for back in range(NUM_LAST_FIELDS)]


def look_back(values: Array, places: Array, back: int) -> Array:
    """Return the value of some events before; NaN where the case had not begun."""
    earlier: Array = np.where(places >= back, shift(values, back), np.nan)
    return earlier


def shift(values: Array, back: int) -> Array:
    """Return the value of some rows before, or after; NaN beyond the rows."""
    rows = np.arange(len(values)) - back
    is_there = (rows >= 0) & (rows < len(values))
    found: Array = np.where(is_there, values[np.clip(rows, 0, len(values) - 1)], np.nan)
    return found


def count_events(events: Array, begins: Array) -> Array:
    """Count the frequent events of the case so far: (rows, events)."""
    is_event = events[:, None] == np.arange(MAX_COUNTED)
    running = np.cumsum(is_event, axis=0, dtype=np.float64)
    counts: Array = running - running[begins] + is_event[begins]
    return counts
