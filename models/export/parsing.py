"""Events as clients write them, parsed inside the SavedModel's graph.

Only `serving_default` needs it, so that TensorFlow Serving can load the folder
unchanged; the service parses in Python (`service.registry.encoding.events`), and a test
compares the two. Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.gates import Tensor
from models.schemas import Schema, vocabularies

Tables = Mapping[str, tf.lookup.StaticHashTable]


UNKNOWN = "is not in the vocabulary of this model"
NO_NUMBER = "is not a finite float32"
NO_TIME = "is not one such as 2014-07-01T00:30:00, without a UTC offset"
# `service.registry.encoding.fields` takes the same; a test holds the two equal.
LAST_SECOND = 86400 - 2**-7  # the largest float32 below a day's 86,400 seconds
TIME_FORM = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"


def build_tables(inputs: Schema) -> Tables:
    """Build the table of every vocabulary, by the name of its tensor."""
    fields = inputs.get("fields", [{"name": "sequence", **inputs}])
    unknown = {field["name"]: field.get("unknown") for field in fields}
    return {
        name: build_table(names, unknown[name])
        for name, names in vocabularies(inputs).items()
    }


def build_table(
    vocabulary: Sequence[str], unknown: str | None = None
) -> tf.lookup.StaticHashTable:
    """Build the table from an event's name to its index.

    Any other name is -1, or the index of the unknown event where there is one.
    """
    default = -1 if unknown is None else list(vocabulary).index(unknown)
    initial = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(vocabulary)), tf.range(len(vocabulary), dtype=tf.int64)
    )
    return tf.lookup.StaticHashTable(initial, default_value=default)


def parse_events(
    names: Tensor, table: tf.lookup.StaticHashTable
) -> tuple[Tensor, Tensor]:
    """Look names up in the vocabulary.

    Args:
        names: string of shape (batch, timesteps); "" after the last event is padding.
        table: From `build_table`.

    Returns:
        int32 indices of shape (batch, timesteps) and int32 lengths of shape (batch,).
        A name outside the vocabulary fails the call.
    """
    is_padding = tf.equal(names, "")
    length = tf.reduce_sum(tf.cast(~is_padding, tf.int32), axis=1)
    index = table.lookup(names)
    known = is_padding | (index >= 0)
    index = tf.maximum(require(known, index, f"an event {UNKNOWN}", names), 0)
    at_end = ~tf.sequence_mask(length, tf.shape(names)[1])
    is_padded = tf.equal(is_padding, at_end) & (length[:, None] > 0)
    index = require(
        is_padded, index, "a row is empty, or has empty names between events", names
    )
    return tf.cast(index, tf.int32), length


def require(good: Tensor, value: Tensor, wrong: str, shown: Tensor) -> Tensor:
    """Return a value, or fail the call, saying what is wrong, unless all is good."""
    check = tf.debugging.Assert(tf.reduce_all(good), [f"{wrong}:", shown])
    with tf.control_dependencies([check]):
        return tf.identity(value)


def parse_records(
    tensors: Mapping[str, Tensor], fields: Sequence[Schema], tables: Tables
) -> tuple[Tensor, Tensor]:
    """Lay the fields of records side by side as columns.

    Args:
        tensors: Per field, a tensor of shape (batch, timesteps): strings for times
            (`YYYY-MM-DDTHH:MM` with optional `:SS`) and categories, float32 for
            numbers, int32 for indices; for vectors float32 of shape (batch, timesteps,
            size).
        fields: The input schema's fields.
        tables: From `build_tables`.

    Returns:
        float32 of shape (batch, timesteps, columns) and int32 lengths (batch,). A name
        outside its field's vocabulary fails the call.
    """
    columns: list[Tensor] = []
    for field in fields:
        name, tensor = field["name"], tensors[field["name"]]
        if field["type"] == "time":
            columns += parse_time(tensor)
        elif field["type"] == "category":
            columns.append(parse_category(tensor, name, tables[name]))
        elif field["type"] == "vector":
            columns += tf.unstack(check_finite(tensor, name), field["size"], axis=-1)
        elif field["type"] == "index":
            columns.append(parse_index(tensor, field))
        else:
            columns.append(check_number(tensor, field))
    sequence = tf.stack(columns, axis=-1)
    return sequence, tf.fill(tf.shape(sequence)[:1], tf.shape(sequence)[1])


def check_number(numbers: Tensor, field: Schema) -> Tensor:
    """Return a field's numbers; NaN is a missing one, where one may be."""
    if not field.get("optional"):
        return check_finite(numbers, field["name"])
    wrong = f"a number of {field['name']} {NO_NUMBER}"
    return require(~tf.math.is_inf(numbers), numbers, wrong, numbers)


def check_finite(numbers: Tensor, name: str) -> Tensor:
    """Return numbers, or fail the call where one is NaN or infinite."""
    return require(
        tf.math.is_finite(numbers), numbers, f"a number of {name} {NO_NUMBER}", numbers
    )


def parse_category(
    names: Tensor, field: str, table: tf.lookup.StaticHashTable
) -> Tensor:
    """Look a field's names up: float32 indices of shape (batch, timesteps)."""
    index = table.lookup(names)
    return tf.cast(
        require(index >= 0, index, f"a {field} {UNKNOWN}", names), tf.float32
    )


def parse_index(index: Tensor, field: Schema) -> Tensor:
    """Check a field's indices: float32 of shape (batch, timesteps)."""
    known = (index >= 0) & (index < field["size"])
    return tf.cast(
        require(known, index, f"a {field['name']} {UNKNOWN}", index), tf.float32
    )


def parse_time(text: Tensor) -> list[Tensor]:
    """Parse wall-clock times into days since 1970-01-01 and seconds of the day.

    Args:
        text: `YYYY-MM-DDTHH:MM` or `YYYY-MM-DD HH:MM` with optional `:SS` and
            fraction, of shape (batch, timesteps). Anything else fails the call.

    Returns:
        Two float32 tensors of the same shape.
    """
    is_form = tf.strings.regex_full_match(text, TIME_FORM)
    text = require(is_form, text, f"a time {NO_TIME}", text)
    full = tf.strings.regex_replace(text, "^(.{16})$", r"\1:00")  # seconds, if none

    def digits(start: int, count: int) -> Tensor:
        part = tf.strings.substr(full, start, count)
        return tf.strings.to_number(part, tf.int32)

    year, month, day = digits(0, 4), digits(5, 2), digits(8, 2)
    hour, minute = digits(11, 2), digits(14, 2)
    second = tf.strings.to_number(tf.strings.substr(full, 17, 9), tf.float64)
    first = days_from_civil(year, month, 1)
    next_first = days_from_civil(year + month // 12, month % 12 + 1, 1)
    is_date = (
        (year >= 1)
        & (month >= 1)
        & (month <= 12)
        & (day >= 1)
        & (day <= next_first - first)
    )
    is_clock = (hour < 24) & (minute < 60) & (second < 60.0)
    days = require(is_date & is_clock, first + day - 1, f"a time {NO_TIME}", text)
    # In float64, so that the sum is rounded once, as the service rounds it.
    of_day = tf.cast(hour * 3600 + minute * 60, tf.float64) + second
    of_day = tf.minimum(of_day, tf.constant(LAST_SECOND, tf.float64))
    return [tf.cast(days, tf.float32), tf.cast(of_day, tf.float32)]


def days_from_civil(year: Tensor, month: Tensor, day: Tensor) -> Tensor:
    """Count days from 1970-01-01 to a date of the Gregorian calendar, int32.

    Years begin in March, so that the leap day comes last and months have a formula.

    Reference: H. Hinnant, chrono-Compatible Low-Level Date Algorithms, 2013,
    https://howardhinnant.github.io/date_algorithms.html
    """
    year = year - tf.cast(month <= 2, tf.int32)
    century = year // 400
    year_of_400 = year - century * 400
    month_from_march = (month + 9) % 12
    day_of_year = (153 * month_from_march + 2) // 5 + day - 1
    day_of_400 = year_of_400 * 365 + year_of_400 // 4 - year_of_400 // 100 + day_of_year
    return century * 146_097 + day_of_400 - 719_468
