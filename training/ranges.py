"""The table `[tune]` of a configuration: from which values a search may choose.

    [tune]
    training.learning_rate = { from = 0.001, to = 0.01, log = true }
    network.units = [[32], [64], [96]]

A list is the values themselves; a table is a range. Does not know how is searched.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.config import SECTIONS, Config, check_config
from training.errors import ConfigError
from training.sections import Origin, is_integer, is_number, refuse_unknown

# Other keys change what is measured, so that trials could not be compared.
TUNED = ("network", "training")
EXAMPLE = "{ from = 0.001, to = 0.01, log = true }"


@dataclass(frozen=True)
class Range:
    """Values that a key may take in a trial.

    Args:
        key: Such as `training.learning_rate`.
        values: The values themselves; empty for a span.
        low: First value of a span.
        high: Last value of a span.
        step: Between the values of a span; None for any value.
        log: Whether a span is searched evenly in its logarithm.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """True if a span has whole numbers only."""
        ends = (self.low, self.high, 1 if self.step is None else self.step)
        return all(map(is_integer, ends))

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values to check before the search: all of a list, both ends of a span."""
        return self.values or (self.low, self.high)


def read_ranges(table: Mapping[str, Any], file: str) -> list[Range]:
    """Read the table `[tune]` of a file.

    Raises:
        ConfigError: It is missing, empty, or a key or range is wrong.
    """
    given = table.get("tune")
    if not isinstance(given, dict) or not given:
        raise ConfigError(
            f"{file}: the section [tune] is {'missing' if given is None else 'empty'}; "
            "expected the keys to search over and their ranges. Add it with a line "
            f"such as training.learning_rate = {EXAMPLE}."
        )
    return list(list_ranges(given, file))


def list_ranges(given: Mapping[str, Any], file: str) -> Iterator[Range]:
    """Yield the ranges of a table.

    Raises:
        ConfigError: A key or its range is wrong.
    """
    for section, keys in given.items():
        if section not in TUNED or not isinstance(keys, dict):
            raise ConfigError(
                f"{file}: tune.{section} is not a key of [network] or [training]; "
                "expected such keys, since trials with other data or another seed "
                f"cannot be compared. Write training.learning_rate = {EXAMPLE}."
            )
        known = [field.name for field in dataclasses.fields(SECTIONS[section])]
        refuse_unknown(keys, known, Origin(file, prefix=f"tune.{section}"))
        for name, value in keys.items():
            yield read_range(f"{section}.{name}", value, file)


def read_range(key: str, value: object, file: str) -> Range:
    """Read the range of one key.

    Raises:
        ConfigError: It is neither a list of values nor a range.
    """
    if isinstance(value, list) and len(value) > 1:
        return Range(key, values=tuple(value))
    if not isinstance(value, dict):
        raise refuse(key, value, file, "a list of two values or more, or a range")
    refuse_unknown(
        value, ("from", "to", "step", "log"), Origin(file, prefix=f"tune.{key}")
    )
    low: Any = value.get("from")
    high: Any = value.get("to")
    step: Any = value.get("step")
    log: Any = value.get("log", False)
    if not (is_number(low) and is_number(high) and low < high):
        raise refuse(key, value, file, "numbers `from` and `to`, the second larger")
    if not (step is None or (is_number(step) and 0 < step <= high - low)):
        raise refuse(key, value, file, "a `step` above 0 within the range")
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        raise refuse(key, value, file, "`log = true` with `from` above 0 and no `step`")
    return Range(key, low=low, high=high, step=step, log=log)


def refuse(key: str, value: object, file: str, expected: str) -> ConfigError:
    """Say what is wrong with a range."""
    return ConfigError(
        f"{file}: tune.{key} is {value!r}; expected {expected}, such as {EXAMPLE}."
    )


def apply_values(
    table: Mapping[str, Any], values: Mapping[str, Any], source: str
) -> Config:
    """Check a configuration in which some keys have other values.

    Args:
        table: What the file has.
        values: By key.
        source: Where the values come from, for errors.

    Raises:
        ConfigError: A value is one that its key does not take.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(table))
    for key, value in values.items():
        section, _, name = key.partition(".")
        changed.setdefault(section, {})[name] = value
    return check_config(changed, source)


def check_ranges(table: Mapping[str, Any], ranges: list[Range], file: str) -> Config:
    """Check the ends of all ranges, each with the first values of the others.

    Returns:
        The configuration with the file's values, and first ones where it has none.

    Raises:
        ConfigError: A key does not take an end of its range.
    """
    firsts = {one.key: one.ends[0] for one in ranges if not has_key(table, one.key)}
    for one in ranges:
        for value in one.ends:
            apply_values(table, {**firsts, one.key: value}, f"{file}, [tune]")
    return apply_values(table, firsts, file)


def has_key(table: Mapping[str, Any], key: str) -> bool:
    """Return whether a file has a value for a key."""
    section, _, name = key.partition(".")
    return name in table.get(section, {})


def describe_ranges(ranges: list[Range]) -> dict[str, str]:
    """Describe ranges by key, so that another search is recognised."""
    return {
        one.key: json.dumps([one.values, one.low, one.high, one.step, one.log])
        for one in ranges
    }
