"""From a table of a TOML file to a frozen dataclass, with errors that teach.

A section is a dataclass; its annotations say what a key takes:
`Annotated[int, between(1, 100)]`. A field without a default is a required key.
Does not know which sections there are: `training.config` and `training.data` do.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from training.errors import ConfigError

Section = TypeVar("Section")


class Rule(NamedTuple):
    """Condition on a value beyond its type, and the words that say it."""

    words: str
    accepts: Callable[[Any], bool]


class Origin(NamedTuple):
    """Origin of keys, to name it in errors.

    Args:
        file: The configuration file.
        overridden: Dotted keys given on the command line instead.
        prefix: Dotted path of the section being read, empty at the top.
    """

    file: str
    overridden: Collection[str] = ()
    prefix: str = ""

    def key(self, name: str) -> str:
        """Write a key with its section: `training.epochs`."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def source(self, key: str) -> str:
        """Name the file, or `--set` where the key was given on the command line."""
        inside = any(key == k or k.startswith(key + ".") for k in self.overridden)
        return "--set" if inside else self.file

    def section(self, name: str) -> Origin:
        """Descend into a section."""
        return self._replace(prefix=self.key(name))


def between(low: float, high: float) -> Rule:
    """Accept numbers from `low` to `high`, both included."""
    return Rule(f"from {low:,} to {high:,}", lambda value: low <= value <= high)


def inside(low: float, high: float) -> Rule:
    """Accept numbers greater than `low` and less than `high`."""
    return Rule(
        f"greater than {low:,} and less than {high:,}", lambda value: low < value < high
    )


def inside_or_count() -> Rule:
    """Accept a share below 1, or a number of things from 1."""
    return Rule(
        "greater than 0: a share below 1, or a whole number from 1",
        lambda value: 0 < value < 1 or (value >= 1 and value == int(value)),
    )


def one_of(*choices: str) -> Rule:
    """Accept one of a few words."""
    return Rule(f"one of {', '.join(choices)}", lambda value: value in choices)


def each(rule: Rule) -> Rule:
    """Accept a non-empty list or table in which every value satisfies `rule`."""

    def accepts(values: Any) -> bool:
        items = values.values() if isinstance(values, Mapping) else values
        return len(items) > 0 and all(rule.accepts(item) for item in items)

    return Rule(f"(at least one), each {rule.words}", accepts)


def distinct(values: Any) -> bool:
    """Accept a list that names nothing twice."""
    return len(set(values)) == len(values)


ONCE = Rule("and none twice", distinct)
RISING = Rule(
    "and each greater than the one before",
    lambda values: all(low < high for low, high in pairwise(values)),
)


def matching(pattern: str, words: str) -> Rule:
    """Accept text that matches a regular expression as a whole."""
    return Rule(words, lambda value: re.fullmatch(pattern, value) is not None)


def is_integer(value: object) -> bool:
    """Distinguish whole numbers from true and false, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Accept whole and decimal numbers, but neither NaN nor infinity."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def list_of(words: str, accepts: Callable[[Any], bool]) -> Rule:
    """Accept a list in which every item is of one kind."""
    return Rule(
        f"a list of {words}",
        lambda value: isinstance(value, list) and all(map(accepts, value)),
    )


KINDS: Mapping[Any, Rule] = {
    int: Rule("a whole number", is_integer),
    float: Rule("a number", is_number),
    bool: Rule("true or false", lambda value: isinstance(value, bool)),
    str: Rule("text", lambda value: isinstance(value, str)),
    tuple[int, ...]: list_of("whole numbers", is_integer),
    tuple[float, ...]: list_of("numbers", is_number),
    tuple[str, ...]: list_of("words", lambda value: isinstance(value, str)),
    dict[str, int]: Rule(
        "a table of whole numbers",
        lambda value: isinstance(value, dict) and all(map(is_integer, value.values())),
    ),
}


def read_section(section: type[Section], table: object, origin: Origin) -> Section:
    """Read a table into a section.

    Args:
        section: A dataclass with the keys as fields.
        table: What the TOML file has there.
        origin: Where the table comes from, for errors.

    Returns:
        The section, every value checked.

    Raises:
        ConfigError: A key is unknown, missing, or has the wrong type or range.
    """
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    given = expect_table(table, origin)
    refuse_unknown(given, fields, origin)
    hints = get_type_hints(section, include_extras=True)
    for name, field in fields.items():
        if name not in given and field.default is dataclasses.MISSING:
            raise missing_key(name, hints[name], origin)
    return section(
        **{
            key: read_value(value, hints[key], key, origin)
            for key, value in given.items()
        }
    )


def expect_table(table: object, origin: Origin) -> dict[str, Any]:
    """Insist that a section is a table.

    Raises:
        ConfigError: It is not a table.
    """
    if isinstance(table, dict):
        return table
    raise ConfigError(
        f"{origin.source(origin.prefix)}: {origin.prefix} is {table!r}; expected a "
        f"section. Write [{origin.prefix}] on a line of its own and its keys below."
    )


def refuse_unknown(
    given: Collection[str], known: Collection[str], origin: Origin
) -> None:
    """Raise for the first key that no section has: it would do nothing.

    Raises:
        ConfigError: There is such a key.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise ConfigError(
                f"{origin.source(origin.key(name))}: {origin.key(name)} is not a key. "
                f"{hint}Expected: {', '.join(known)}."
            )


def missing_key(name: str, hint: Any, origin: Origin) -> ConfigError:
    """Say which key is missing and what it takes."""
    _, words = explain(hint)
    return ConfigError(
        f"{origin.file}: {origin.key(name)} is missing; expected {words}. Add it to "
        f"the file or give --set {origin.key(name)}=VALUE."
    )


def read_value(value: object, hint: Any, name: str, origin: Origin) -> Any:
    """Check one value against its annotation.

    Raises:
        ConfigError: The value has another type, or is outside its range.
    """
    rules, words = explain(hint)
    if not all(rule.accepts(value) for rule in rules):
        key = origin.key(name)
        quoted = ""
        if is_number(value) and words.startswith(KINDS[str].words):
            # A shell takes one pair of quotes away.
            written = (
                f'"{value}"' if origin.source(key) != "--set" else f"'\"{value}\"'"
            )
            quoted = f" Write it in quotes: {written}."
        raise ConfigError(
            f"{origin.source(key)}: {key} is {value!r}; expected {words}.{quoted}"
        )
    return tuple(value) if isinstance(value, list) else value


def explain(hint: Any) -> tuple[list[Rule], str]:
    """Split an annotation into the rules to satisfy and the words for them."""
    kind, *rules = get_args(hint) if get_origin(hint) is Annotated else [hint]
    kinds = get_args(kind) if isinstance(kind, types.UnionType) else [kind]
    every = [*(KINDS[kind] for kind in kinds if kind in KINDS), *rules]
    return every, " ".join(rule.words for rule in every)
