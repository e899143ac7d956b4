"""The fields of a record, as a client writes them, to the columns of a sequence.

Also the words for what was received, and for the names that were meant. Knows neither
rows nor HTTP.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from service.errors import (
    EmptySequence,
    InvalidEvent,
    NonFiniteInput,
    SequenceTooLong,
    UnknownEvent,
)

# Of the many forms of ISO 8601 the one people read. The SavedModel's own parser takes
# the same (`models.export.parsing`); a test over generated times compares the two.
TIME_FORM = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
# The largest float32 below a day's 86,400 seconds: the next one is the next day.
LAST_SECOND = 86400 - 2**-7
EPOCH_DAY = date(1970, 1, 1).toordinal()
# How many names an error message lists before it stops.
MAX_LISTED = 12
# From here on a number rounds to infinity as a float32. The largest float32 is smaller,
# but JSON writes it as 3.4028235e38, which is above it and rounds to it.
FLOAT32_BOUND = 2.0**128 - 2.0**103

T = TypeVar("T")
# (value, where it stood, position of its record) -> its columns
Reader = Callable[[Any, str, int], tuple[float, ...]]


def read_time(value: Any, where: str, position: int) -> tuple[float, ...]:
    """Read a wall-clock time as days since 1970-01-01 and seconds of the day.

    Raises:
        InvalidEvent: It is not an ISO 8601 time, or has a UTC offset.
    """
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None and not TIME_FORM.fullmatch(value):
            raise ValueError
    except (TypeError, ValueError):
        raise InvalidEvent(
            f"{where} is {describe(value)}; expected an ISO 8601 time, such as "
            "'2014-07-01T00:30:00'.",
            position=position,
        ) from None
    if time.tzinfo is not None:
        raise InvalidEvent(
            f"{where} is {value!r}, which has a UTC offset; this model was trained on "
            "wall-clock times. Send the local time without the offset.",
            position=position,
        )
    seconds = time.hour * 3600 + time.minute * 60 + time.second
    second = min(seconds + time.microsecond / 1e6, LAST_SECOND)
    return time.toordinal() - EPOCH_DAY, second


def read_number(value: Any, where: str, position: int) -> tuple[float, ...]:
    """Read a finite number: one column.

    Raises:
        InvalidEvent: It is not a number.
        NonFiniteInput: It is NaN, infinite or too large for a 32-bit float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidEvent(
            f"{where} is {describe(value)}; expected a number.", position=position
        )
    if not abs(value) < FLOAT32_BOUND:  # false for NaN, infinities and huge integers
        raise NonFiniteInput(
            f"{where} is {describe(value)}; expected a finite number that fits a "
            "32-bit float.",
            position=position,
        )
    return (float(value),)


def read_optional(value: Any, where: str, position: int) -> tuple[float, ...]:
    """Read a number that may be missing, null in JSON: NaN in its column."""
    return (math.nan,) if value is None else read_number(value, where, position)


class WithUnknown(dict[str, T]):
    """A mapping by name that has a value for names it does not contain.

    Args:
        known: The names it contains.
        unknown: The value of any other name.
    """

    def __init__(self, known: Mapping[str, T], unknown: T) -> None:
        super().__init__(known)
        self.unknown = unknown

    def __missing__(self, name: object) -> T:
        """Return the value of a name that it does not contain."""
        if isinstance(name, str) and name:  # "" is padding
            return self.unknown
        raise KeyError(name)


class CategoryReader:
    """Names of a category to indices in its vocabulary: one column.

    Args:
        name: The field's name.
        vocabulary: The names it knows.
        unknown: The one of them that stands for any other name, if there is one.
    """

    def __init__(
        self, name: str, vocabulary: Collection[str], unknown: str | None = None
    ) -> None:
        self.name = name
        self.index = {choice: k for k, choice in enumerate(vocabulary)}
        self.unknown: int | None = None
        if unknown is not None:
            self.unknown = self.index[unknown]
            self.index = WithUnknown(self.index, self.unknown)

    def __call__(self, value: Any, where: str, position: int) -> tuple[float, ...]:
        """Look a name up.

        Raises:
            InvalidEvent: The value is not a string.
            UnknownEvent: It is not in the vocabulary.
        """
        if not isinstance(value, str):
            raise InvalidEvent(
                f"{where} is {describe(value)}; expected the name of a {self.name}, "
                f"such as {next(iter(self.index))!r}.",
                position=position,
            )
        try:
            return (float(self.index[value]),)
        except KeyError:
            raise UnknownEvent(
                f"{where} is {value[:80]!r}, which is no {self.name} of this model. "
                + suggest(value, self.index),
                position=position,
            ) from None


def suggest(name: str, known: Collection[str]) -> str:
    """Name the closest of the known names, or the first of them."""
    close = difflib.get_close_matches(name[:80], list(known), n=3)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    more = ", ..." if len(known) > MAX_LISTED else ""
    return f"It knows {', '.join(list(known)[:MAX_LISTED])}{more}."


def describe(value: Any) -> str:
    """Show a received value briefly: its text, or what kind of thing it is."""
    if isinstance(value, dict):
        names = [str(name)[:40] for name in list(value)[:MAX_LISTED]]
        return f"an object with the fields {', '.join(names) or '(none)'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= FLOAT32_BOUND:
        return "a huge integer"  # its digits may run to thousands
    return repr(value)[:80]


def check_length(sequence: Sequence[Any], max_events: int) -> None:
    """Refuse a row without events, or with more than the service accepts.

    Raises:
        EmptySequence: There is no event.
        SequenceTooLong: There are more than `max_events`.
    """
    if not sequence:
        raise EmptySequence("sequence is empty; send at least one event.")
    if len(sequence) > max_events:
        raise SequenceTooLong(
            f"sequence has {len(sequence)} events; at most {max_events} are accepted "
            "in one row. Split it over several requests of one session.",
            max_events=max_events,
        )
