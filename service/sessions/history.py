"""A session's history: all its events, to run them through another network.

Kept whole or not at all: a memory rebuilt from the last events only would be a guess.
It does not know what an event is; `service.sessions.version_policy` does. The bytes are
the `history` section of a record.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from service.registry.catalog import SCHEMA_BYTES

HEADER = Struct("<8s?")  # schema, is_whole


class History(NamedTuple):
    """The events of a session.

    Attributes:
        schema: Digest of the input schema the events were encoded by.
        is_whole: Whether they are all there; if not, none is.
        events: Events one after another, as the network takes them.
    """

    schema: bytes
    is_whole: bool
    events: bytes


def append_events(
    section: bytes | None, schema: bytes, events: bytes, *, max_bytes: int
) -> bytes:
    """Append events to a history.

    Args:
        section: The history so far; None begins one. Empty where a session has none
            because it is older than the policy that needs it.
        schema: Digest of the input schema of the events.
        events: The events.
        max_bytes: Longest history; beyond it the history is given up.
    """
    before = History(schema, True, b"") if section is None else decode_history(section)
    whole = before.events + events
    if before.is_whole and before.schema == schema and len(whole) <= max_bytes:
        return HEADER.pack(schema, True) + whole
    return HEADER.pack(schema, False)


def decode_history(section: bytes) -> History:
    """Read a history; an empty section is one that was given up."""
    if not section:
        return History(bytes(SCHEMA_BYTES), False, b"")
    schema, is_whole = HEADER.unpack_from(section)
    return History(schema, is_whole, section[HEADER.size :])


def keep_first(section: bytes, num_kept: int, num_events: int) -> bytes:
    """Cut a history to its first events, as rewinding a session does.

    Args:
        section: The history.
        num_kept: How many events stay.
        num_events: How many there are: the step the session was at.
    """
    history = decode_history(section)
    if not history.is_whole or not num_events:
        return section
    size = len(history.events) // num_events
    return HEADER.pack(history.schema, True) + history.events[: num_kept * size]
