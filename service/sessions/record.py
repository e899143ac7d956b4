"""Key of a session, and the stored form of its memory and of the tombstone after it.

A record is a CRC-32 of all that follows it, a format and a kind byte, fixed fields
and, for a session, its memory tensors; little-endian, no pickle. Optional
sections follow: absent ones take no byte, and each is decoded only by the module that
needs it (`service.sessions.sections`). It does not know which tensors a
network has, nor what is in a section: they are bytes.
"""

from __future__ import annotations

import re
from struct import Struct, pack, unpack_from
from typing import Literal, NamedTuple
from zlib import crc32

from service.common.value import Value
from service.errors import (
    CorruptRecord,
    InvalidRequest,
)
from service.stores.base import MAX_KEY_BYTES

# Leaves room for tenant and model in the 400 bytes of a store's key.
MAX_SESSION_BYTES = 200
USUAL_LENGTHS = range(1, MAX_SESSION_BYTES + 1)
# Control characters cannot stand in an address or a log; half a surrogate pair, which
# JSON may smuggle in as an escape, cannot be stored.
UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

FORMAT = 2
# Written by releases before the sections; read, never written.
FORMAT_1 = 1
CHECKSUM = Struct("<I")
PREFIX = Struct("<BB")  # format, kind
HEAD = Struct("<IBB")  # all three
BODY_AT = CHECKSUM.size + PREFIX.size

SESSION, TOMBSTONE = 0, 1
# step, model_version, network, created_at, updated_at, expires_at, idle_seconds, and
# of format 2: size of the last event, which sections there are
SESSION_FIELDS = Struct("<QQ16sddddIB")
SESSION_FIELDS_1 = Struct("<QQ16sdddd")
# The same after format and kind, as written.
SESSION_BODY = Struct("<BBQQ16sddddIB")
TENSORS_AT = BODY_AT + SESSION_FIELDS.size
TOMBSTONE_FIELDS = Struct("<BQd")  # index of the reason, step, at
TOMBSTONE_AT = BODY_AT + TOMBSTONE_FIELDS.size
# When a session expires: what read_end needs of a record.
EXPIRY = Struct("<d")
EXPIRY_AT = BODY_AT + Struct("<QQ16sdd").size
END_BYTES = EXPIRY_AT + EXPIRY.size
SECTIONS = ("answers", "snapshots", "history")
NUM_SECTIONS = len(SECTIONS)
SECTION_SIZE_BYTES = 4

NETWORK_BYTES = 16
FLOAT32_BYTES = 4

Reason = Literal["expired", "ended", "deleted"]
# Stored by position: append only.
REASONS: tuple[Reason, ...] = ("expired", "ended", "deleted")


class Session(Value, frozen=True):
    """A live session's memory.

    Args:
        step: How many events the session has absorbed, 0 or more.
        model_version: The model version that made this memory.
        network: 16-byte fingerprint of that version's weights.
        created_at: Seconds since the epoch, as are the next two.
        updated_at: When the memory last advanced.
        expires_at: From this instant on the session is gone.
        idle_seconds: Idle time-to-live chosen for this session.
        tensors: The memory tensors, float32 or float64 little-endian, one after another
            in the artifact's order.
        last_event: The newest event as the network takes it: int32 or float32,
            little-endian; empty where none is known.
        answers: Stored answers, as `answers` encodes them; empty for none.
        snapshots: Earlier memories of the same network, as `snapshots` encodes them.
        history: The events absorbed, as `history` encodes them.
    """

    step: int
    model_version: int
    network: bytes
    created_at: float
    updated_at: float
    expires_at: float
    idle_seconds: float
    tensors: bytes
    last_event: bytes = b""
    answers: bytes = b""
    snapshots: bytes = b""
    history: bytes = b""


class Tombstone(Value, frozen=True):
    """Tombstone: the record of a session that is gone.

    Args:
        reason: Why it is gone.
        step: The step it was at.
        at: When it went, in seconds since the epoch.
        answers: Its stored answers, so that the request that ended it can be repeated.
    """

    reason: Reason
    step: int
    at: float
    answers: bytes = b""


def encode(record: Session | Tombstone) -> bytes:
    """Return the record's stored form.

    Raises:
        ValueError: A session's fingerprint or tensors have an impossible length.
    """
    if isinstance(record, Session):
        payload = _encode_session(record)
    else:
        reason = REASONS.index(record.reason)
        fields = TOMBSTONE_FIELDS.pack(reason, record.step, record.at)
        payload = PREFIX.pack(FORMAT, TOMBSTONE) + fields + record.answers
    return CHECKSUM.pack(crc32(payload)) + payload


def _encode_session(session: Session) -> bytes:
    tensors, event = session.tensors, session.last_event
    if len(session.network) != NETWORK_BYTES or len(tensors) % FLOAT32_BYTES:
        raise ValueError(
            f"The fingerprint has {len(session.network)} bytes and the tensors "
            f"{len(tensors)}; expected {NETWORK_BYTES}, and a multiple of "
            f"{FLOAT32_BYTES}. Pass the tensors as float32."
        )
    sections: list[bytes] = []
    present = 0
    if session.answers or session.snapshots or session.history:
        sections = [session.answers, session.snapshots, session.history]
        present = sum(1 << k for k, section in enumerate(sections) if section)
    body = SESSION_BODY.pack(
        FORMAT,
        SESSION,
        session.step,
        session.model_version,
        session.network,
        session.created_at,
        session.updated_at,
        session.expires_at,
        session.idle_seconds,
        len(event),
        present,
    )
    if not present:
        return body + tensors + event
    lengths = [len(section) for section in sections if section]
    sizes = pack(f"<{len(lengths)}I", *lengths)
    return b"".join((body, sizes, tensors, event, *sections))


def decode(value: bytes) -> Session | Tombstone:
    """Return the record a stored form holds.

    Raises:
        CorruptRecord: The checksum, the format or the length is wrong.
    """
    if len(value) < BODY_AT:
        raise _corrupt(f"it has {len(value)} bytes, fewer than any record")
    checksum, form, kind = HEAD.unpack_from(value)
    if crc32(value[CHECKSUM.size :]) != checksum:
        raise _corrupt("its checksum does not match its content")
    if kind == SESSION and form == FORMAT:
        return _decode_session(value)
    if kind == SESSION and form == FORMAT_1:
        return _decode_session_1(value)
    if kind == TOMBSTONE and form in (FORMAT, FORMAT_1):
        return _decode_tombstone(value)
    raise _corrupt(f"it has format {form} and kind {kind}, unknown to this release")


def read_end(head: bytes) -> tuple[bool, float] | None:
    """Read when a session is or was over from the first bytes of its record.

    Args:
        head: The first `END_BYTES` bytes, or the whole record.

    Returns:
        Whether it was ended or deleted, and the time in seconds since the epoch; None
        for what is no record.
    """
    if len(head) < BODY_AT:
        return None
    _, form, kind = HEAD.unpack_from(head)
    if kind == SESSION and form in (FORMAT, FORMAT_1) and len(head) >= END_BYTES:
        return False, EXPIRY.unpack_from(head, EXPIRY_AT)[0]
    if kind == TOMBSTONE and form in (FORMAT, FORMAT_1) and len(head) >= TOMBSTONE_AT:
        reason, _, at = TOMBSTONE_FIELDS.unpack_from(head, BODY_AT)
        return reason != REASONS.index("expired"), at
    return None


def _decode_session(value: bytes) -> Session:
    if len(value) < TENSORS_AT:
        raise _corrupt(f"no session has {len(value)} bytes")
    # Named one by one, for speed: every step of a session comes through here.
    step, version, network, created, updated, expires, idle, event_size, present = (
        SESSION_FIELDS.unpack_from(value, BODY_AT)
    )
    start, end = TENSORS_AT, len(value)
    if present:
        start, end, sections = _cut_sections(value, present)
    stop = end - event_size
    if stop < start or (stop - start) % FLOAT32_BYTES:
        raise _corrupt(f"no session has {len(value)} bytes")
    tensors, event = value[start:stop], value[stop:end]
    session = Session(
        step, version, network, created, updated, expires, idle, tensors, event
    )
    return session.replace(**sections) if present else session


def _cut_sections(value: bytes, present: int) -> tuple[int, int, dict[str, bytes]]:
    """Find where the tensors begin and the last event ends, and cut what follows."""
    if present >> NUM_SECTIONS:
        raise _corrupt(f"it has sections {present:#b}, unknown to this release")
    num_present = present.bit_count()
    start = TENSORS_AT + SECTION_SIZE_BYTES * num_present
    if len(value) < start:
        raise _corrupt(f"no session has {len(value)} bytes")
    stored = iter(unpack_from(f"<{num_present}I", value, TENSORS_AT))
    sizes = [next(stored) if present >> k & 1 else 0 for k in range(NUM_SECTIONS)]
    stop = position = len(value) - sum(sizes)
    sections: dict[str, bytes] = {}
    for name, size in zip(SECTIONS, sizes, strict=True):
        sections[name] = value[position : position + size]
        position += size
    return start, stop, sections


def _decode_session_1(value: bytes) -> Session:
    start = BODY_AT + SESSION_FIELDS_1.size
    if len(value) < start or (len(value) - start) % FLOAT32_BYTES:
        raise _corrupt(f"no session has {len(value)} bytes")
    step, version, network, created, updated, expires, idle = (
        SESSION_FIELDS_1.unpack_from(value, BODY_AT)
    )
    return Session(
        step, version, network, created, updated, expires, idle, value[start:]
    )


def _decode_tombstone(value: bytes) -> Tombstone:
    if len(value) < TOMBSTONE_AT:
        raise _corrupt(f"no tombstone has {len(value)} bytes")
    reason, step, at = TOMBSTONE_FIELDS.unpack_from(value, BODY_AT)
    if reason >= len(REASONS):
        raise _corrupt(f"reason {reason} is unknown to this release")
    return Tombstone(REASONS[reason], step, at, value[TOMBSTONE_AT:])


def _corrupt(what: str) -> CorruptRecord:
    return CorruptRecord(
        f"a stored session cannot be read: {what}. It was not used. Delete the "
        'session, or send "start": true to begin it again.'
    )


def check_session_id(session: str) -> None:
    """Refuse ids that cannot be stored or written in an address.

    Raises:
        InvalidRequest: The id is empty, too long, or holds control characters or half
            a surrogate pair.
    """
    if session.isascii() and session.isprintable() and len(session) in USUAL_LENGTHS:
        return
    if found := UNUSABLE.search(session):
        raise InvalidRequest(
            f"the session id holds {found.group()!a}, which cannot be used; expected "
            "text without control characters or lone surrogates. Choose another id."
        )
    size = len(session.encode())
    if not 0 < size <= MAX_SESSION_BYTES:
        raise InvalidRequest(
            f"the session id has {size} bytes; expected 1 to {MAX_SESSION_BYTES} bytes "
            "of UTF-8. Choose another id."
        )


class SessionKey(NamedTuple):
    """Key of a session: tenant, model and id."""

    tenant: str
    model: str
    session: str

    def encode(self) -> bytes:
        """Return the store's key: the three parts in UTF-8, parted by a zero byte.

        Raises:
            InvalidRequest: A part holds a zero byte or half a surrogate pair, or the
                whole is too long.
        """
        try:
            return check_key(f"{self.tenant}\0{self.model}\0{self.session}".encode())
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"the session id {self.session!r} is not valid Unicode; expected text "
                "without lone surrogates. Choose another id."
            ) from error


def check_key(key: bytes) -> bytes:
    """Return a store's key that a session can have.

    Raises:
        InvalidRequest: It is too long, or a part of it holds a zero byte.
    """
    if len(key) > MAX_KEY_BYTES or key.count(0) != 2:
        raise InvalidRequest(
            f"tenant, model and session id take {len(key)} bytes; expected at most "
            f"{MAX_KEY_BYTES}, none of them zero. Choose another session id."
        )
    return key
