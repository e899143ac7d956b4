"""Events as clients write them, parsed inside the SavedModel's graph.

Only `serving_default` needs it, so that TensorFlow Serving can load the folder as it
is; the service parses in Python (`service.events`) and a test holds the two equal.
Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.gates import Tensor
from models.schemas import Schema, vocabularies

Tables = Mapping[str, tf.lookup.StaticHashTable]


def build_tables(inputs: Schema) -> Tables:
    """Build the table of every vocabulary, by the name of its tensor."""
    return {name: build_table(names) for name, names in vocabularies(inputs).items()}


def build_table(vocabulary: Sequence[str]) -> tf.lookup.StaticHashTable:
    """Build the table from an event's name to its index; -1 is unknown."""
    initial = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(vocabulary)), tf.range(len(vocabulary), dtype=tf.int64)
    )
    return tf.lookup.StaticHashTable(initial, default_value=-1)


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
    index = table.lookup(names)
    known = is_padding | (index >= 0)
    index = tf.maximum(require(known, index, "an event", names), 0)
    index = tf.cast(index, tf.int32)
    length = tf.reduce_sum(tf.cast(~is_padding, tf.int32), axis=1)
    return index, length


def require(known: Tensor, index: Tensor, what: str, names: Tensor) -> Tensor:
    """Return the indices, or fail the call where one is not known."""
    check = tf.debugging.Assert(
        tf.reduce_all(known), [f"{what} is not in the vocabulary of this model:", names]
    )
    with tf.control_dependencies([check]):
        return tf.identity(index)


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
            columns += tf.unstack(tensor, field["size"], axis=-1)
        elif field["type"] == "index":
            columns.append(parse_index(tensor, field))
        else:
            columns.append(tensor)
    sequence = tf.stack(columns, axis=-1)
    return sequence, tf.fill(tf.shape(sequence)[:1], tf.shape(sequence)[1])


def parse_category(
    names: Tensor, field: str, table: tf.lookup.StaticHashTable
) -> Tensor:
    """Look a field's names up: float32 indices of shape (batch, timesteps)."""
    index = table.lookup(names)
    return tf.cast(require(index >= 0, index, f"a {field}", names), tf.float32)


def parse_index(index: Tensor, field: Schema) -> Tensor:
    """Check a field's indices: float32 of shape (batch, timesteps)."""
    known = (index >= 0) & (index < field["size"])
    return tf.cast(require(known, index, f"a {field['name']}", index), tf.float32)


def parse_time(text: Tensor) -> list[Tensor]:
    """Parse ISO 8601 wall-clock times into days since 1970-01-01 and seconds of day."""

    def digits(start: int, count: int) -> Tensor:
        part = tf.strings.substr(text, start, count)
        return tf.strings.to_number(part, tf.int32)

    days = days_from_civil(digits(0, 4), digits(5, 2), digits(8, 2))
    # "00" behind a time without seconds; text that is longer keeps its own.
    text = tf.strings.join([text, ":00"])
    seconds = digits(11, 2) * 3600 + digits(14, 2) * 60 + digits(17, 2)
    return [tf.cast(days, tf.float32), tf.cast(seconds, tf.float32)]


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
