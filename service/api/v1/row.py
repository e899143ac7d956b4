"""One row of the v1 dialect: from its checked form to the engine's row, or refused.

A row or columns with more lists and objects than events can need are refused unread.
"""

from __future__ import annotations

from math import prod
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from service.api.long_json import NUM_OTHERS, count_containers
from service.api.v1.diagnose import Form, find_session, no_json
from service.api.v1.schema import ObjectRow, ParsedRow
from service.api.v1.spelling import normalize_events, read_sequence
from service.engine.rows import Refused, Row
from service.errors import CarryoverError, InvalidEvent, InvalidRequest, UnknownEvent
from service.registry.catalog import Model
from service.registry.encoding.events import warn_of_unknown
from service.sessions.record import MAX_SESSION_BYTES, check_session_id
from service.sessions.state_export import read_object

# Columns are read as a whole. An event that is an object has rarely below 25 bytes.
MAX_IN_COLUMNS = 150_000
NULL = msgspec.Raw(b"null")


def parse_row(where: str, form: Form, model: Model, is_last_only: bool) -> ParsedRow:
    """Parse one row; a refusal says where it stands, and the session it was for."""
    if isinstance(form, Refused):
        return ParsedRow(form)
    try:
        if isinstance(form, list):
            sequence, events = encode(form, model)
            row = Row(sequence, is_last_only=is_last_only)
            return ParsedRow(row, True, warning=warn(where, events, model))
        return parse_object(where, form, model, is_last_only)
    except CarryoverError as error:
        named = name_row(error, where)
        sent = msgspec.structs.asdict(form) if isinstance(form, ObjectRow) else None
        return ParsedRow(Refused(named, find_session(sent)))


def name_row(error: CarryoverError, where: str) -> CarryoverError:
    """Say which row an error is of."""
    return type(error)(f"{where}: {error.detail}", **error.members)


def warn(where: str, events: list[Any], model: Model) -> str | None:
    """Warn of events that training has not seen, where the model takes them."""
    return warn_of_unknown(model.encoder, events, f"{where}: sequence")


def parse_object(
    where: str, row: ObjectRow, model: Model, is_last_only: bool
) -> ParsedRow:
    """Hand a row's options and encoded events to the engine's form."""
    sequence_id = None
    if row.sequence_id is not UNSET or row.sequence_control_input is not UNSET:
        sequence_id = read_sequence(row)
    session, memory = row.session, row.memory
    if session is not UNSET and memory is UNSET:
        check_session_id(session)
    else:
        check_options(row)
    sequence, events = encode(row.sequence, model)
    parsed = Row(
        sequence,
        None if session is UNSET else session,
        memory if isinstance(memory, str) else None,
        memory is not UNSET,
        row.at,
        row.start,
        row.end,
        row.ttl_seconds,
        is_last_only=is_last_only,
        # Without a memory no other version and no repeat can need them.
        events=None if session is UNSET and memory is UNSET else events,
        plain=read_object(memory) if isinstance(memory, dict) else None,
    )
    warning = None
    if model.encoder.unknown is not None:  # most models refuse what they do not know
        warning = warn(where, events, model)
    return ParsedRow(parsed, False, sequence_id, warning)


def encode(events: list[Any], model: Model) -> tuple[np.ndarray, list[Any]]:
    """Encode a row's events, also as TensorFlow Serving's clients spell them.

    Returns:
        The sequence, and the events in the service's own words.
    """
    try:
        return model.encoder.encode(events), events
    except (InvalidEvent, UnknownEvent):
        normalized = normalize_events(events)
        if normalized is None:
            raise
        return model.encoder.encode(normalized), normalized


def check_options(row: ObjectRow) -> None:
    """Refuse options of a row without a session that contradict each other.

    Raises:
        InvalidRequest: The row has both session and memory, or an option of one that it
            lacks.
    """
    if row.session is not UNSET and row.memory is not UNSET:
        raise InvalidRequest(
            "the row has both session and memory; send session when the service "
            "is to remember, memory when the client does."
        )
    if row.start or row.end:
        raise InvalidRequest(
            "start and end belong to a session, and the row has none. Add a session, "
            "or leave them out."
        )
    if row.memory is UNSET and not (row.at is None and row.ttl_seconds is None):
        raise InvalidRequest(
            "at and ttl_seconds belong to a memory, and the row has none. Add a "
            "session or a memory, or leave them out."
        )


class NamedRow(msgspec.Struct):
    """The session of a row; nothing else of the row is decoded."""

    session: msgspec.Raw = NULL
    sequence_id: msgspec.Raw = NULL


NAMED = msgspec.json.Decoder(NamedRow)


def limit_of_row(model: Model) -> int:
    """Return how many lists and objects a row may have.

    An event is one, or contains one for each of its fields; memory in the open is lists
    of numbers.
    """
    num_fields = len(model.manifest.input.get("fields", ()))
    num_numbers = sum(map(prod, model.manifest.memory.values()))
    per_event = 2 + num_fields
    return per_event * model.encoder.max_events + num_numbers + NUM_OTHERS


def refuse_excess(text: str, where: str, model: Model) -> Refused | None:
    """Refuse a row that has more; None where it has not.

    Args:
        text: The row.
        where: Its place in the request.
        model: Model of its events.
    """
    limit = limit_of_row(model)
    number = count_containers(text, limit)
    if number <= limit:
        return None
    error = InvalidRequest(
        f"{where} has {number} lists and objects; expected at most {limit}, for "
        f"{model.encoder.max_events} events. Send fewer events, and none that is "
        "nested deeper than its fields."
    )
    try:
        return Refused(error, find_session(read_names(text)))
    except msgspec.ValidationError:  # not an object: a row without a session
        return Refused(error)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as problem:
        return Refused(no_json(str(problem)[:120], f"{where}: {problem}"[:120]))


def read_names(text: str) -> dict[str, object]:
    """Read what names a row's session."""
    named = NAMED.decode(text)
    fields = {"session": named.session, "sequence_id": named.sequence_id}
    return {
        name: msgspec.json.decode(raw)
        for name, raw in fields.items()
        if len(memoryview(raw)) <= 6 * MAX_SESSION_BYTES  # each as an escape
    }


def check_columns(text: str) -> None:
    """Refuse a body of columns with more lists and objects than are freed quickly.

    Raises:
        InvalidRequest: It has more.
    """
    number = count_containers(text, MAX_IN_COLUMNS)
    if number > MAX_IN_COLUMNS:
        raise InvalidRequest(
            f"the body has {number} lists and objects; expected at most "
            f"{MAX_IN_COLUMNS} in columns. Send instances, which are read row by row, "
            "or fewer rows at a time."
        )
