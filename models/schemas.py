"""Input and output schemas: what a network takes and answers, as plain dictionaries.

An input schema is one of

    {"kind": "event", "vocabulary": ["bear", "fox", ...], "unknown": "[unknown]"}
    {"kind": "record", "fields": [
        {"name": "time", "type": "time", "features": ["time_of_day", ...]},
        {"name": "value", "type": "number", "mean": 15000.0, "std": 7000.0,
         "optional": true},
        {"name": "weather", "type": "category", "vocabulary": ["rain", "sun", "?"],
         "unknown": "?"}]}

An event is an index into the vocabulary: sequences are int32 of shape
(batch, timesteps). A record takes one column per number, one per category (its index,
exact in float32) and two per time (days since 1970-01-01 and seconds of the day, both
exact): sequences are float32 of shape (batch, timesteps, columns).

An output schema is one of

    {"kind": "label", "name": "probabilities", "labels": [...]}
    {"kind": "sequence_label", "name": "probabilities", "labels": [...]}
    {"kind": "next_event", "name": "probabilities", "labels": [...], "end": "[end]",
     "event": "activity"}
    {"kind": "duration", "name": "remaining_seconds", "quantiles": [0.1, 0.5, 0.9],
     "mean": 9.1, "std": 2.5}
    {"kind": "forecast", "name": "forecast", "field": "value", "horizon": 5,
     "quantiles": [0.1, 0.5, 0.9]}

where `features`, `quantiles`, `unknown`, `optional`, `end` and `event` may be left out.
`unknown` is the name in the vocabulary that stands for any name not in it; a number
that is `optional` may be missing, which is NaN in its column; `end` is the label, and
no event, that says that nothing follows; `event` is the field of a record, its first,
that is to be predicted. `mean` and `std` of a duration are those of ln(1 + seconds). A
network with several heads has the names of all but the first in `others`, and their
schemas in `heads`.

Models built elsewhere (`models.wrapping`) also take

    {"kind": "index", "size": 9}        whole numbers 0 to 8, no names for them
    {"kind": "vector", "size": 3}       3 numbers an event; with "indices": 9, each
                                        a whole number 0 to 8; with "boolean": true,
                                        true and false stand for 1 and 0
    {"kind": "record", "fields": [
        {"name": "sensors", "type": "vector", "size": 3},
        {"name": "machine", "type": "index", "size": 9}]}

as columns in the order given, and answer

    {"kind": "values", "name": "values"}

and, of several outputs, the names of all but the first in `others`. Knows no Keras.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Schema = Mapping[str, Any]

# How many columns a field takes in the sequence.
COLUMNS = {"time": 2, "number": 1, "category": 1, "index": 1}
TIME_FEATURES = ("time_of_day", "day_of_week", "time_since_previous")
# Calendar alone needs no memory of the event before.
DEFAULT_TIME_FEATURES = TIME_FEATURES[:2]
KINDS = ("label", "sequence_label", "next_event", "forecast", "duration")


def num_columns(inputs: Schema) -> int:
    """Count the columns a record or a vector takes in an encoded sequence."""
    if inputs["kind"] == "vector":
        return int(inputs["size"])
    return sum(count_columns(field) for field in inputs["fields"])


def count_columns(field: Schema) -> int:
    """Count the columns of one field."""
    return int(field["size"]) if field["type"] == "vector" else COLUMNS[field["type"]]


def output_names(outputs: Schema) -> list[str]:
    """Name all outputs, the schema's own first."""
    return [outputs["name"], *outputs.get("others", ())]


def list_heads(outputs: Schema) -> list[Schema]:
    """List the schemas of all heads, the main one first."""
    return [outputs, *outputs.get("heads", ())]


def list_fields(inputs: Schema) -> list[Schema]:
    """List the fields of records; a lone event or vector is one field."""
    if inputs["kind"] == "record":
        return list(inputs["fields"])
    return [{**inputs, "name": inputs["kind"], "type": inputs["kind"]}]


def find_columns(inputs: Schema) -> Iterator[tuple[Schema, int | None]]:
    """Yield each field with its first column; a lone event has none."""
    column = 0
    for field in list_fields(inputs):
        width = COLUMNS.get(field["type"])
        yield field, None if width is None else column
        column += width or 0


def vocabularies(inputs: Schema) -> dict[str, Sequence[str]]:
    """Return every vocabulary of an input schema by the name of its field.

    The vocabulary of plain events has the name of their tensor, `sequence`.
    """
    if inputs["kind"] == "event":
        return {"sequence": inputs["vocabulary"]}
    fields = [f for f in inputs.get("fields", ()) if f["type"] == "category"]
    return {field["name"]: field["vocabulary"] for field in fields}


def check_inputs(inputs: Schema) -> None:
    """Refuse an input schema no network can be built for.

    Raises:
        ValueError: A kind, type or time feature is unknown, or names are missing or
            double.
    """
    require_one_of("the kind of the inputs", inputs["kind"], ("event", "record"))
    if inputs["kind"] == "event":
        check_names("vocabulary", inputs["vocabulary"])
        if "unknown" in inputs:
            require_one_of("unknown", inputs["unknown"], inputs["vocabulary"])
        return
    check_names("fields", [field["name"] for field in inputs["fields"]])
    for field in inputs["fields"]:
        where = f"field {field['name']!r}"
        require_one_of(f"the type of {where}", field["type"], COLUMNS)
        if field["type"] == "category":
            check_names(f"vocabulary of {where}", field["vocabulary"])
            if "unknown" in field:
                require_one_of(
                    f"unknown of {where}", field["unknown"], field["vocabulary"]
                )
        if field["type"] == "time":
            features = field.get("features", DEFAULT_TIME_FEATURES)
            check_names(f"features of {where}", features)
            for name in features:
                require_one_of(f"a feature of {where}", name, TIME_FEATURES)


def check_outputs(inputs: Schema, outputs: Schema) -> None:
    """Refuse an output schema that does not fit the inputs.

    Raises:
        ValueError: The kind is unknown, the labels of `next_event` are not the
            events, or quantiles do not rise between 0 and 1.
    """
    kind = outputs["kind"]
    require_one_of("the kind of the outputs", kind, KINDS)
    for head in outputs.get("heads", ()):
        check_outputs(inputs, head)
    if kind in ("forecast", "duration"):
        check_quantiles(outputs.get("quantiles"))
        return
    check_names("labels", outputs["labels"])
    if kind == "next_event":
        if "end" in outputs:
            require_one_of("end", outputs["end"], outputs["labels"])
        events = list(find_events(inputs, outputs))
        if not events or list(outputs["labels"][: len(events)]) != events:
            raise ValueError(
                f"next_event has labels {brief(outputs['labels'])} for inputs of kind "
                f"{inputs['kind']!r}; expected plain events, or records with the "
                f"field `event` first, and labels that begin with their vocabulary, "
                f"{brief(events)}. For anything else use kind 'label' and give what "
                "comes next as the target."
            )


def find_events(inputs: Schema, outputs: Schema) -> Sequence[str]:
    """Find the vocabulary of what is to be predicted; empty where it has none."""
    if inputs["kind"] != "record":
        return tuple(inputs.get("vocabulary", ()))
    first = inputs["fields"][0]
    is_event = first["name"] == outputs.get("event")
    return tuple(first.get("vocabulary", ())) if is_event else ()


def check_quantiles(quantiles: Sequence[float] | None) -> None:
    """Refuse quantiles that do not rise between 0 and 1.

    Raises:
        ValueError: They do not rise, or one is not between 0 and 1.
    """
    if quantiles is None:
        return
    bounded = [0.0, *quantiles, 1.0]
    if not quantiles or not all(low < high for low, high in pairwise(bounded)):
        raise ValueError(
            f"quantiles is {list(quantiles)}; expected rising numbers between 0 and 1, "
            "such as [0.1, 0.5, 0.9]. Leave it out to forecast the median."
        )


def check_names(what: str, names: Sequence[str]) -> None:
    """Refuse a list of names that is empty or says one twice.

    Raises:
        ValueError: The list is empty, or a name occurs twice.
    """
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if not names or doubles:
        came = f"has {brief(doubles)} more than once" if doubles else "is empty"
        raise ValueError(f"{what} {came}; expected at least one name, each once.")


def require_one_of(what: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is not among the choices.

    Raises:
        ValueError: The value is not one of the choices.
    """
    if value not in choices:
        raise ValueError(f"{what} is {value!r}; choose one of {', '.join(choices)}.")


def brief(names: Sequence[str]) -> str:
    """List the first few names."""
    return f"[{', '.join(map(repr, names[:5]))}{', ...' if len(names) > 5 else ''}]"
