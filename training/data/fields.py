"""Events as a network takes them: names, or records with further fields.

An event is its name alone until numbers, categories or features of its time are asked
for; then it is a record, with the names of the file's columns. Means, deviations and
names are those of the training part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from models.schemas import TIME_FEATURES
from training.data.dataset import Array
from training.data.event_log import EventLog, Roles
from training.data.series_file import refuse_lost, split_clocks
from training.data.vocabulary import Vocabulary, encode, fit_vocabulary, hide_rare
from training.errors import ConfigError

# `mean`: where a number is missing the network is shown the mean, and that it was.
MISSING_NUMBERS = ("refuse", "previous", "mean")


class EncodedEvents(NamedTuple):
    """The events of a log as the network takes them.

    Args:
        schema: The input schema.
        inputs: Positions in the vocabulary, of shape (rows,), or float32 records of
            shape (rows, columns) with those in the first column; by row of the log.
        events: Positions in the vocabulary, of shape (rows,).
        vocabularies: By column.
        numbers: Columns of records that are numbers.
    """

    schema: dict[str, Any]
    inputs: Array
    events: Array
    vocabularies: Mapping[int, Vocabulary]
    numbers: tuple[int, ...] = ()

    @property
    def vocabulary(self) -> Vocabulary:
        """The names of events."""
        return self.vocabularies[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """Kind of each column of the inputs: name, number, days or seconds."""
        kinds = {"category": ("name",), "time": ("days", "seconds")}
        fields = self.schema.get("fields", [{"type": "category"}])
        each = (kinds.get(field["type"], ("number",)) for field in fields)
        return tuple(kind for kinds in each for kind in kinds)


def encode_events(
    log: EventLog,
    roles: Roles,
    trained: Array,
    *,
    min_count: int,
    unknown: bool,
    time_features: Sequence[str] | None,
    is_timed: bool = False,
) -> EncodedEvents:
    """Encode the events of a log.

    Args:
        log: The log.
        roles: Which columns are further fields.
        trained: Which of the rows are the training part's; bool.
        min_count: How often a name must be there.
        unknown: Whether names that training has not seen are taken.
        time_features: What is shown of the time; None for all of it where an event has
            further fields, and nothing where it has none.
        is_timed: Whether an event has its time as a field in any case.

    Raises:
        DataError: Names are too many, or numbers too large for their changes.
    """
    fit = partial(fit_vocabulary, rows=trained, min_count=min_count, unknown=unknown)
    vocabulary = fit(log.events)
    events = encode(vocabulary, log.events)
    is_record = bool(roles.numbers or roles.categories or time_features or is_timed)
    if not is_record:
        schema = {"kind": "event", **describe_names(vocabulary)}
        return EncodedEvents(schema, events, events, {0: vocabulary})
    check_fields(roles)
    fields = [name_field(roles.event or "event", vocabulary)]
    columns, vocabularies = [events.astype(np.float32)], {0: vocabulary}
    if log.clocks is not None and time_features != ():
        features = list(time_features or TIME_FEATURES)
        fields.append({"name": roles.time, "type": "time", "features": features})
        columns += split_clocks(log.clocks)
    first = len(columns)
    for name in roles.numbers:
        numbers = fill_numbers(log.numbers[name], log.offsets, roles.missing)
        if not np.isnan(numbers[trained]).all():
            refuse_lost(f"data.numbers {name}", numbers[trained])
        field = scale_field(name, numbers[trained], roles.missing)
        fields.append(field)
        kept = numbers if field.get("optional") else fill_mean(numbers, field["mean"])
        columns.append(kept.astype(np.float32))
    places = tuple(range(first, len(columns)))
    for name in roles.categories:
        names = fit(log.categories[name])
        vocabularies[len(columns)] = names
        fields.append(name_field(name, names))
        columns.append(encode(names, log.categories[name]).astype(np.float32))
    schema = {"kind": "record", "fields": fields}
    records = np.stack(columns, axis=-1)
    return EncodedEvents(schema, records, events, vocabularies, places)


def check_fields(roles: Roles) -> None:
    """Refuse a column that is two fields of an event.

    Raises:
        ConfigError: There is one.
    """
    names = [roles.event, roles.time, *roles.numbers, *roles.categories]
    for name in names:
        if name and names.count(name) > 1:
            raise ConfigError(
                f"column {name!r} is {names.count(name)} fields of an event; expected "
                "one. Name it once in data.event, time, numbers and categories."
            )


def describe_names(vocabulary: Vocabulary) -> dict[str, Any]:
    """Write the names, and the unknown one of them, where there is one."""
    schema: dict[str, Any] = {"vocabulary": vocabulary.names}
    if vocabulary.unknown is not None:
        schema["unknown"] = vocabulary.names[vocabulary.unknown]
    return schema


def name_field(name: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """Describe a field of names."""
    return {"name": name, "type": "category", **describe_names(vocabulary)}


def scale_field(name: str, numbers: Array, missing: str) -> dict[str, Any]:
    """Describe a field of numbers, with mean and deviation of the training part."""
    known = numbers[~np.isnan(numbers)]
    mean, std = (known.mean(), known.std()) if len(known) else (0.0, 0.0)
    field = {"name": name, "type": "number", "mean": float(mean)}
    field["std"] = float(std) or 1.0
    return {**field, "optional": True} if missing == "mean" else field


def fill_numbers(numbers: Array, offsets: Array, missing: str) -> Array:
    """Put the last number of its case in the place of a missing one, where asked to."""
    if missing != "previous" or not np.isnan(numbers).any():
        return numbers
    begins = np.repeat(offsets[:-1], np.diff(offsets))
    known = np.where(np.isnan(numbers), -1, np.arange(len(numbers)))
    last = np.maximum.accumulate(known)
    filled: Array = np.where(last >= begins, numbers[np.maximum(last, 0)], np.nan)
    return filled


def fill_mean(numbers: Array, mean: float) -> Array:
    """Put the mean of training where no number is known."""
    filled: Array = np.where(np.isnan(numbers), mean, numbers)
    return filled


def hide_names(
    encoded: EncodedEvents, inputs: Array, rng: np.random.Generator
) -> Array:
    """Show some names as the unknown one, the rarer the oftener."""
    if inputs.ndim == 1:
        return hide_rare(encoded.vocabulary, inputs, rng)
    hidden = inputs.copy()
    for column, vocabulary in encoded.vocabularies.items():
        names = inputs[:, column].astype(np.int64)
        hidden[:, column] = hide_rare(vocabulary, names, rng)
    return hidden


def take_events(inputs: Array) -> Array:
    """Take the positions of events: inputs of names, or the first column of records."""
    # A sequence of records has one axis more than its events.
    is_record = np.issubdtype(inputs.dtype, np.floating)
    return inputs[..., 0].astype(np.int64) if is_record else inputs
