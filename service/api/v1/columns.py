"""Columns: `inputs`, one list over all rows per input, to rows; answers to columns.

An option of a row (`session`, `at`, `sequence_id`, ...) is a column too, or one value
for all rows. A column of one dimension has one event a row, as OpenVINO's client sends
it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from service.api.v1.diagnose import (
    Form,
    input_names,
    read_row,
    static_fields,
)
from service.api.v1.schema import ObjectRow
from service.common.loop import take_break
from service.errors import InvalidRequest
from service.registry.artifact import Manifest
from service.registry.encoding.fields import describe

OPTIONS = [name for name in ObjectRow.__struct_encode_fields__ if name != "sequence"]


def read_columns(inputs: Any, manifest: Manifest, max_rows: int) -> list[Form]:
    """Read rows from columns.

    Args:
        inputs: The columns by name, or the only input's.
        manifest: The model's.
        max_rows: Most rows accepted; one more is read, so that it can be refused.

    Raises:
        InvalidRequest: A column is missing, is no list, or has another length.
    """
    own = manifest.input_name
    if own and isinstance(inputs, dict) and own in inputs and "sequence" not in inputs:
        inputs = {"sequence" if n == own else n: inputs[n] for n in inputs}
    statics = static_fields(manifest)
    columns = name_columns(inputs, input_names(manifest), statics)
    count = count_rows(columns)
    options = [name for name in columns if name in OPTIONS]
    named = columns.keys() - OPTIONS - statics.keys()
    lone = {name: find_lone(name, manifest) for name in named}
    forms: list[Form] = []
    for k in range(min(count, max_rows + 1)):
        row = {name: pick(column, k) for name, column in columns.items()}
        for name, is_lone in lone.items():
            row[name] = [row[name]] if is_lone(row[name]) else row[name]
        for name in options:
            if row[name] is None and name != "memory":
                del row[name]  # a column has a place for rows without the option
        forms.append(read_column_row(row, manifest, f"inputs[{k}]"))
        take_break()
    return forms


def name_columns(
    inputs: Any, names: Sequence[str], statics: Collection[str] = ()
) -> dict[str, Any]:
    """Find the columns of a model's inputs, and of options.

    Raises:
        InvalidRequest: One is missing.
    """
    if not isinstance(inputs, dict):
        if len(names) > 1:
            raise InvalidRequest(
                f"inputs is {describe(inputs)}; this model has the inputs "
                f"{', '.join(names)}. Send an object with a list of each.",
                error="inputs is a plain value/list, but expecting an object as "
                "multiple input tensors required as per tensorinfo_map",
            )
        inputs = {names[0]: inputs}
    names = [name for name in names if name in inputs or name not in statics]
    if "sequence" in inputs and not set(names) <= inputs.keys():
        names = ["sequence"]
    for name in names:
        if name not in inputs:
            raise InvalidRequest(
                f"inputs is {describe(inputs)}; this model takes {', '.join(names)}.",
                error=f"Missing named input: {name} in 'inputs' object.",
            )
        if not isinstance(inputs[name], list):
            raise InvalidRequest(
                f"inputs.{name} is {describe(inputs[name])}; expected a list over the "
                "rows of one event, or of a list over the timesteps."
            )
    # Other keys are ignored, as TensorFlow Serving does: inputs of another signature.
    return {name: inputs[name] for name in (*names, *OPTIONS) if name in inputs}


def count_rows(columns: dict[str, Any]) -> int:
    """Count the rows; every column has as many, or is one value for all.

    Raises:
        InvalidRequest: Two columns have different lengths.
    """
    lengths = {n: len(column) for n, column in columns.items() if is_column(column)}
    count = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != count:
            raise InvalidRequest(
                f"inputs.{name} has {length} values, and there are {count} rows in "
                f"{next(iter(lengths))}; expected one a row."
            )
    return count


def is_column(value: Any) -> bool:
    """Distinguish a column from a value that all rows share."""
    return isinstance(value, list)


def pick(column: Any, k: int) -> Any:
    """Take a row's value."""
    return column[k] if is_column(column) else column


def find_lone(name: str, manifest: Manifest) -> Callable[[Any], bool]:
    """Return a predicate for one event of an input, not a list of them."""
    fields = {field["name"]: field for field in manifest.input.get("fields", ())}
    field = fields.get(name, manifest.input)
    # A vector of one number may stand without its list, so that a list is a sequence.
    if field.get("type", field.get("kind")) == "vector" and field["size"] > 1:
        return is_lone_vector
    return is_lone_value


def is_lone_value(value: Any) -> bool:
    """Distinguish a name, a number or a record from a list of them."""
    return not isinstance(value, list)


def is_lone_vector(value: Any) -> bool:
    """Distinguish a list of numbers from a list of such lists."""
    return not any(isinstance(part, list) for part in value) if value else False


def read_column_row(row: dict[str, Any], manifest: Manifest, where: str) -> Form:
    """Check the form of one row of columns; without options it is bare."""
    if row.keys() == {"sequence"} and isinstance(row["sequence"], list):
        return read_row(row["sequence"], manifest, where)
    return read_row(row, manifest, where)


def to_columns(answers: Iterable[Any], is_failed: Sequence[bool]) -> Any:
    """Turn the rows' answers into columns.

    Args:
        answers: Per row bare values, an object by name, or a problem document.
        is_failed: Which are problem documents.

    Returns:
        A list where the answers are bare values; else a list per name, null where a
        row has no such value, and where a row failed its problem under `error`.
    """
    rows = list(answers)
    if not all(isinstance(row, dict) for row in rows):
        return rows
    rows = [
        {"error": row} if failed else row
        for row, failed in zip(rows, is_failed, strict=True)
    ]
    names = {name: None for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names}
