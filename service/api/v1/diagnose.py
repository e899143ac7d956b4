"""Diagnosis of a malformed body, read once more: what is wrong, and in which row.

Slow and exact where `v1` is quick: rows are checked one by one, and NaN and Infinity,
which TensorFlow Serving's JSON has, are read so that only their row is refused.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import msgspec

from service.api.json_loading import load_large_json
from service.api.v1.schema import ObjectRow, PredictBody
from service.api.v1.spelling import PIECE_VALUES
from service.common.loop import LARGE_BYTES, long_work, take_break
from service.engine.rows import Refused
from service.errors import (
    CarryoverError,
    InvalidEvent,
    InvalidJson,
    InvalidRequest,
    NonFiniteInput,
    UnknownField,
)
from service.registry.artifact import Manifest
from service.registry.encoding.fields import describe
from service.registry.encoding.vectors import NO_STATICS

Form = ObjectRow | list[Any] | Refused
# What may be, or contain, a number that is not finite.
SUSPECT = (float, dict, list)
# What a field of few values takes, said where another came.
CHOICES = {
    "return": '"last" or "all"',
    "sequence_control_input": "0, 1 or 2",
    "memory_format": '"sealed" or "plain"',
}


def read_carefully(data: bytes, manifest: Manifest) -> tuple[PredictBody, list[Form]]:
    """Read a body, and every row by itself.

    Returns:
        The body, and its rows: each in its form, or refused.

    Raises:
        InvalidJson: The body is not JSON.
        InvalidRequest: It does not have the right form.
    """
    document = load_json(data)
    rows: list[Any] = []
    if isinstance(document, dict) and isinstance(document.get("instances"), list):
        rows = document["instances"]
        document = document | {"instances": []}
    try:
        body = msgspec.convert(document, PredictBody)
    except msgspec.ValidationError as error:
        raise wrong_form(error, "the body", PredictBody) from None
    forms: list[Form] = []
    for k, row in enumerate(rows):
        forms.append(read_row(row, manifest, f"instances[{k}]"))
        take_break()
    return body, forms


def load_json(data: bytes) -> Any:
    """Read JSON, NaN and Infinity included.

    Raises:
        InvalidJson: It is not JSON; the message says where it stops being so.
    """
    if not data:
        raise no_json("The document is empty", "it is empty")
    with unreadable_refused():
        if len(data) > LARGE_BYTES:
            with long_work(len(data)):
                return load_large_json(data.decode(), msgspec.json.encode)
        document = json.loads(data.decode())
        msgspec.json.encode(document)  # refuses halves of surrogate pairs
        return document


@contextmanager
def unreadable_refused() -> Iterator[None]:
    """Turn the errors of a decoder into the sentence about a body that is not JSON.

    Raises:
        InvalidJson: A decoder inside raised one of its errors.
    """
    try:
        yield
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at offset: {error.pos}"
        raise no_json(reason, str(error)[:120]) from None
    except (UnicodeError, RecursionError) as error:
        raise no_json(str(error)[:120], str(error)[:120]) from None
    except ValueError:  # of int(): its sentence is for programmers in Python
        reason = "a whole number has thousands of digits"
        raise no_json(reason, reason) from None


def no_json(reason: str, text: str) -> InvalidJson:
    """Return the error of a body that is not JSON."""
    return InvalidJson(
        f"the body is not JSON ({text}); expected an object such as "
        '{"instances": [["first event", "second event"]]}.',
        error=f"JSON Parse error: {reason}",
    )


def refuse_json(data: bytes) -> NoReturn:
    """Say why a body is not JSON; NaN and Infinity are, to some.

    Raises:
        NonFiniteInput: It has NaN or an infinity.
        InvalidJson: In every other case.
    """
    refuse_non_finite(load_json(data), "the body")
    raise InvalidJson("the body is not JSON; expected an object.")


def read_row(raw: Any, manifest: Manifest, where: str) -> Form:
    """Check one row's form."""
    session = find_session(raw)
    try:
        refuse_non_finite(raw, where)
        if isinstance(raw, dict):
            return read_object(raw, manifest)
        if isinstance(raw, list):
            return raw
        refused: CarryoverError = InvalidRequest(
            f"{where}: this is {json.dumps(raw)[:80]}; a row is a list of events, such "
            'as ["first event", "second event"], or an object with a sequence.'
        )
    except msgspec.ValidationError as error:
        refused = wrong_form(error, where, ObjectRow)
    except InvalidEvent as error:
        refused = InvalidEvent(f"{where}: {error.detail}", **error.members)
    except CarryoverError as error:
        refused = error
    return Refused(refused, session)


def find_session(raw: Any) -> str | None:
    """Find the session a row is for, whatever else is wrong with it."""
    if not isinstance(raw, dict):
        return None
    if isinstance(raw.get("session"), str):
        return str(raw["session"])
    given = raw.get("sequence_id")
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    is_id = isinstance(given, int | str) and not isinstance(given, bool) and given
    return str(given) if is_id else None


def read_object(raw: dict[str, Any], manifest: Manifest) -> Form:
    """Read an object row, its events under `sequence` or under the inputs' names.

    Keyed by the inputs' names alone, it is TensorFlow Serving's own and answers bare.
    """
    names = dict.fromkeys(input_names(manifest)).keys()
    own = manifest.input_name
    if own and own in raw and "sequence" not in raw:
        raw = {"sequence" if name == own else name: raw[name] for name in raw}
        if raw.keys() == {"sequence"} and isinstance(raw["sequence"], list):
            return list(raw["sequence"])  # TensorFlow Serving's own form
    statics = static_fields(manifest)
    if "sequence" in raw or not names - statics.keys() <= raw.keys():
        return msgspec.convert(raw, ObjectRow)
    records = join_fields({n: raw[n] for n in names if n in raw}, statics)
    options = {name: value for name, value in raw.items() if name not in names}
    if not options:
        return records
    return msgspec.convert({"sequence": records, **options}, ObjectRow)


def input_names(manifest: Manifest) -> list[str]:
    """List the inputs of `serving_default`: the fields of records, or the sequence."""
    if manifest.input["kind"] == "record":
        return [field["name"] for field in manifest.input["fields"]]
    return ["sequence"]


def static_fields(manifest: Manifest) -> dict[str, Any]:
    """Return the schemas of the fields that only a first event needs, by name."""
    fields = manifest.input.get("fields", ())
    return {field["name"]: field for field in fields if field.get("static")}


def is_value(value: Any, field: dict[str, Any]) -> bool:
    """Distinguish a static field's one value from a list of them over the timesteps."""
    if not isinstance(value, list):
        return True
    is_flat = not any(isinstance(part, list) for part in value)
    return is_flat and len(value) == field["size"] and field["type"] == "vector"


def join_fields(
    fields: dict[str, Any], statics: Mapping[str, Any] = NO_STATICS
) -> list[Any]:
    """Join a row's fields, each a list over timesteps, to records.

    Args:
        fields: By name.
        statics: Schemas of those that may be one value, which the first record gets.

    Raises:
        InvalidEvent: The fields are no lists of one length.
    """
    lone = {
        name: fields[name]
        for name in statics
        if name in fields and is_value(fields[name], statics[name])
    }
    fields = {name: fields[name] for name in fields if name not in lone}
    if not all(isinstance(values, list) for values in fields.values()):
        wrong = next(n for n, values in fields.items() if not isinstance(values, list))
        raise InvalidEvent(
            f"{wrong} is {describe(fields[wrong])}; expected a list over the timesteps."
        )
    lengths = {name: len(values) for name, values in fields.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise InvalidEvent(
            f"the fields have different lengths ({listed}); expected one value of each "
            "per timestep."
        )
    timesteps = zip(*fields.values(), strict=True)
    records = [dict(zip(fields, values, strict=True)) for values in timesteps]
    if records:
        records[0] |= lone
    return records


def refuse_non_finite(value: Any, where: str) -> None:
    """Refuse a row with NaN or an infinity in it.

    Raises:
        NonFiniteInput: There is one.
    """
    waiting = [value]  # no recursion: values may be nested as deep as JSON goes
    while waiting:
        item = waiting.pop()
        if isinstance(item, float) and not math.isfinite(item):
            shown = json.dumps(item)
            raise NonFiniteInput(
                f"{where} holds {shown}, which is no number; expected finite numbers. "
                "Leave the event out, or send its last known value."
            )
        if isinstance(item, dict | list):
            values = list(item.values()) if isinstance(item, dict) else item
            for start in range(0, len(values), PIECE_VALUES):
                take_break()
                piece = values[start : start + PIECE_VALUES]
                waiting += [one for one in piece if isinstance(one, SUSPECT)]


def check_member(name: str) -> None:
    """Refuse a name that is not a member of a body.

    Raises:
        UnknownField: It is not.
    """
    if name not in PredictBody.__struct_encode_fields__:
        sentence = unknown_field(f"'{name}'", PredictBody)
        raise UnknownField(f"the body has an {sentence}")


def wrong_form(
    error: msgspec.ValidationError, where: str, form: type[msgspec.Struct]
) -> InvalidRequest:
    """Turn a failed check into a sentence that says how to fix it."""
    text = str(error).replace(" - at `$", f" - at `{where}").replace("`", "'")
    if "unknown field" in text:
        return UnknownField(f"{where} has an {unknown_field(text, form)}")
    for field, choices in CHOICES.items():
        if "enum value" in text and f".{field}" in text:
            text += f"; expected {choices}"
    return InvalidRequest(f"{where} does not have the right form: {text}.")


def unknown_field(text: str, form: type[msgspec.Struct]) -> str:
    """Name an unknown field, what it may have meant, and those there are."""
    known = form.__struct_encode_fields__
    unknown = text.split("'")[1][:80]
    close = difflib.get_close_matches(unknown, known, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown field {unknown!r}.{meant} Its fields are {', '.join(known)}."
