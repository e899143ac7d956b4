"""Refusal of a row or of columns with more lists and objects than events can need."""

from __future__ import annotations

from math import prod

import msgspec

from service.api.long_json import NUM_OTHERS, count_containers
from service.api.v1.diagnose import find_session, no_json
from service.engine.rows import Refused
from service.errors import InvalidRequest
from service.registry.catalog import Model
from service.sessions.record import MAX_SESSION_BYTES

# Columns are read as a whole. An event that is an object has rarely below 25 bytes.
MAX_IN_COLUMNS = 150_000
NULL = msgspec.Raw(b"null")


class NamedRow(msgspec.Struct):
    """What names a row's session; nothing else of the row is decoded."""

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
