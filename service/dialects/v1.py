"""The v1 dialect: TensorFlow Serving's and KServe V1's predict call, with memory.

Knows the JSON of `:predict` and `:explain`; neither routes nor status lines.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

import msgspec

from service.artifact import Manifest
from service.catalog import Model
from service.errors import (
    CarryoverError,
    EmptySequence,
    InvalidJson,
    InvalidRequest,
    NonFiniteInput,
    TooManyRows,
    UnknownField,
)
from service.idempotency import Idempotency, stamp
from service.memory.sessions import check_session_id
from service.rows import Refused, Row

# A year: longer than any sensor sleeps, short enough that a slip of unit is noticed.
MAX_TTL_SECONDS = 366 * 86_400

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_TTL_SECONDS)]


class Body(msgspec.Struct, forbid_unknown_fields=True, rename={"returned": "return"}):
    """The body of `:predict` and `:explain`."""

    instances: list[msgspec.Raw]
    returned: Literal["last", "all"] = "last"
    top: Annotated[int, msgspec.Meta(ge=1)] | None = None
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    signature_name: str = "serving_default"


class ObjectRow(msgspec.Struct, forbid_unknown_fields=True):
    """A row with options; a bare row is its `sequence` alone."""

    sequence: list[Any]
    session: str | msgspec.UnsetType = msgspec.UNSET
    memory: str | msgspec.UnsetType | None = msgspec.UNSET
    at: Count | None = None
    start: bool = False
    end: bool = False
    ttl_seconds: Seconds | None = None


class Options(NamedTuple):
    """How answers are written: body options shared by all rows."""

    is_last_only: bool
    top: int | None
    threshold: float | None


class ParsedRow(NamedTuple):
    """A row for the engine, and whether it came bare."""

    row: Row | Refused
    is_bare: bool = False


class Request(NamedTuple):
    """A parsed body."""

    options: Options
    rows: list[ParsedRow]


def parse(
    data: bytes,
    model: Model,
    *,
    max_rows: int,
    explain: bool = False,
    idempotency: Idempotency | None = None,
) -> Request:
    """Parse the body of a predict or explain call.

    Args:
        data: The body.
        model: Whose events the rows hold.
        max_rows: Most rows accepted.
        explain: Whether every timestep is to be shown.
        idempotency: The request's key and fingerprint, if it has a key.

    Returns:
        The options and the rows; a bad row is refused and spoils no other.

    Raises:
        InvalidRequest: The body as a whole cannot be used.
    """
    body = decode_body(data)
    check_body(body, model.manifest, max_rows)
    threshold = model.manifest.threshold if body.threshold is None else body.threshold
    options = Options(body.returned == "last", body.top, threshold)
    is_last_only = options.is_last_only and not explain
    rows = [
        parse_row(k, raw, model, is_last_only=is_last_only)
        for k, raw in enumerate(body.instances)
    ]
    if idempotency is not None:
        rows = [
            parsed._replace(row=stamp(parsed.row, k, idempotency))
            for k, parsed in enumerate(rows)
        ]
    return Request(options, rows)


def decode_body(data: bytes) -> Body:
    """Read the JSON and check its form."""
    try:
        return msgspec.json.decode(data, type=Body)
    except msgspec.ValidationError as error:
        raise wrong_form(error, "the body", Body) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        refuse_json(data, "it is empty" if not data else str(error)[:120])


def check_body(body: Body, manifest: Manifest, max_rows: int) -> None:
    """Refuse a body that asks for what there is not."""
    if body.signature_name != "serving_default":
        raise InvalidRequest(
            f'Serving signature name: "{body.signature_name[:80]}" not found in '
            'signature def. Leave it out, or send "serving_default".'
        )
    check_rows(body.instances, max_rows)
    chooses_labels = body.top is not None or body.threshold is not None
    if manifest.labels is None and chooses_labels:
        raise InvalidRequest(
            f"top and threshold choose labels; {manifest.name} has none, it answers "
            f"{manifest.output['name']}. Leave them out."
        )


def check_rows(instances: Sequence[object], max_rows: int) -> None:
    """Refuse a body without rows, or with more than the service accepts."""
    if not instances:
        raise EmptySequence("instances is empty; send at least one row.")
    if len(instances) > max_rows:
        raise TooManyRows(
            f"instances has {len(instances)} rows; at most {max_rows} are "
            "accepted in one request. Send the rest in another.",
            max_rows=max_rows,
        )


def refuse_json(data: bytes, reason: str) -> NoReturn:
    """Say why a body is not JSON; NaN and Infinity are, to some."""

    def refuse_constant(token: str) -> NoReturn:
        raise NonFiniteInput(
            f"the body holds {token}, which is no number; expected finite numbers. "
            "Leave the event out, or send its last known value."
        )

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(data, parse_constant=refuse_constant)
    raise InvalidJson(
        f"the body is not JSON ({reason}); expected an object such as "
        '{"instances": [["first event", "second event"]]}.'
    )


def wrong_form(
    error: msgspec.ValidationError, where: str, form: type[msgspec.Struct]
) -> InvalidRequest:
    """Turn a failed check into a sentence that says how to mend it."""
    text = str(error).replace(" - at `$", f" - at `{where}").replace("`", "'")
    if "unknown field" in text:
        return UnknownField(f"{where} has an {unknown_field(text, form)}")
    if "enum value" in text:
        text += '; expected "last" or "all"'  # the one field that is one of a few words
    return InvalidRequest(f"{where} does not have the right form: {text}.")


def unknown_field(text: str, form: type[msgspec.Struct]) -> str:
    """Name an unknown field, what it may have meant, and those there are."""
    known = form.__struct_encode_fields__
    unknown = text.split("'")[1][:80]
    close = difflib.get_close_matches(unknown, known, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown field {unknown!r}.{meant} Its fields are {', '.join(known)}."


def parse_row(
    position: int, raw: msgspec.Raw, model: Model, *, is_last_only: bool
) -> ParsedRow:
    """Parse one row; a refusal names the row, and the session it was for."""
    where = f"instances[{position}]"
    session = None
    try:
        if memoryview(raw)[0] == ord("["):
            bare = msgspec.json.decode(raw, type=list[Any])
            return ParsedRow(Row(model.encoder.encode(bare)), True)
        if memoryview(raw)[0] != ord("{"):
            raise InvalidRequest(
                f"this is {bytes(raw)[:80].decode(errors='replace')}; a row is a list "
                'of events, such as ["first event", "second event"], or an object with '
                "a sequence."
            )
        row = msgspec.json.decode(raw, type=ObjectRow)
        session = row.session if isinstance(row.session, str) else None
        check_row(row)
        return ParsedRow(build_row(row, model, is_last_only=is_last_only))
    except msgspec.ValidationError as error:
        return ParsedRow(Refused(wrong_form(error, where, ObjectRow)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return ParsedRow(Refused(InvalidJson(f"{where} is not JSON ({error}).")))
    except CarryoverError as error:
        return ParsedRow(Refused(name_row(error, where), session))


def name_row(error: CarryoverError, where: str) -> CarryoverError:
    """Say which row an error is of."""
    return type(error)(f"{where}: {error.detail}", **error.members)


def check_row(row: ObjectRow) -> None:
    """Refuse options that contradict each other."""
    held_here = row.session is not msgspec.UNSET
    held_there = row.memory is not msgspec.UNSET
    if held_here and held_there:
        raise InvalidRequest(
            "the row has both session and memory; send session when the service is "
            "to remember, memory when the client does."
        )
    if not held_here and (row.start or row.end):
        raise InvalidRequest(
            "start and end belong to a session, and the row has none. Add a session, "
            "or leave them out."
        )
    if not (held_here or held_there) and not (
        row.at is None and row.ttl_seconds is None
    ):
        raise InvalidRequest(
            "at and ttl_seconds belong to a memory, and the row has none. Add a "
            "session or a memory, or leave them out."
        )
    if isinstance(row.session, str):
        check_session_id(row.session)


def build_row(row: ObjectRow, model: Model, *, is_last_only: bool) -> Row:
    """Hand a row's options and encoded events to the engine's form."""
    return Row(
        sequence=model.encoder.encode(row.sequence),
        session=row.session if isinstance(row.session, str) else None,
        token=row.memory if isinstance(row.memory, str) else None,
        seal_memory=row.memory is not msgspec.UNSET,
        at=row.at,
        start=row.start,
        end=row.end,
        ttl_seconds=row.ttl_seconds,
        is_last_only=is_last_only,
        events=row.sequence,
    )
