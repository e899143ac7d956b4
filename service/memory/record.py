"""The stored form of a session's memory and of what is left of it when it is gone.

A record is a CRC-32 of all that follows it, a format and a kind byte, fixed fields
and, for a session, its memory tensors; little-endian, no pickle. It does not know
which tensors a network has: they are bytes in the order of the artifact.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import Literal

from service.errors import CorruptRecord

FORMAT = 1
CHECKSUM = Struct("<I")
PREFIX = Struct("<BB")  # format, kind
BODY_AT = CHECKSUM.size + PREFIX.size

SESSION, TOMBSTONE = 0, 1
# step, model_version, network, created_at, updated_at, expires_at, idle_seconds
SESSION_FIELDS = Struct("<QQ16sdddd")
TENSORS_AT = BODY_AT + SESSION_FIELDS.size
TOMBSTONE_FIELDS = Struct("<BQd")  # index of the reason, step, at

NETWORK_BYTES = 16
FLOAT32_BYTES = 4

Reason = Literal["expired", "ended", "deleted"]
# Stored by position: append only.
REASONS: tuple[Reason, ...] = ("expired", "ended", "deleted")


@dataclass(frozen=True, slots=True)
class Session:
    """A live session's memory.

    Attributes:
        step: How many events the session has absorbed, 0 or more.
        model_version: The model version that made this memory.
        network: 16-byte fingerprint of that version's weights.
        created_at: Seconds since the epoch, as are the next two.
        updated_at: When the memory last advanced.
        expires_at: From this instant on the session is gone.
        idle_seconds: Idle time-to-live chosen for this session.
        tensors: The memory tensors, float32 little-endian, one after another in the
            artifact's order.
    """

    step: int
    model_version: int
    network: bytes
    created_at: float
    updated_at: float
    expires_at: float
    idle_seconds: float
    tensors: bytes


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is remembered of a session that is gone.

    Attributes:
        reason: Why it is gone.
        step: The step it was at.
        at: When it went, in seconds since the epoch.
    """

    reason: Reason
    step: int
    at: float


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
        payload = PREFIX.pack(FORMAT, TOMBSTONE) + fields
    return CHECKSUM.pack(zlib.crc32(payload)) + payload


def _encode_session(session: Session) -> bytes:
    if len(session.network) != NETWORK_BYTES or len(session.tensors) % FLOAT32_BYTES:
        raise ValueError(
            f"The fingerprint has {len(session.network)} bytes and the tensors "
            f"{len(session.tensors)}; expected {NETWORK_BYTES}, and a multiple of "
            f"{FLOAT32_BYTES}. Pass the tensors as float32."
        )
    fields = SESSION_FIELDS.pack(
        session.step,
        session.model_version,
        session.network,
        session.created_at,
        session.updated_at,
        session.expires_at,
        session.idle_seconds,
    )
    return b"".join((PREFIX.pack(FORMAT, SESSION), fields, session.tensors))


def decode(value: bytes) -> Session | Tombstone:
    """Return the record a stored form holds.

    Raises:
        CorruptRecord: The checksum, the format or the length is wrong.
    """
    if len(value) < BODY_AT:
        raise _corrupt(f"it has {len(value)} bytes, fewer than any record")
    if zlib.crc32(memoryview(value)[CHECKSUM.size :]) != CHECKSUM.unpack_from(value)[0]:
        raise _corrupt("its checksum does not match its content")
    form, kind = PREFIX.unpack_from(value, CHECKSUM.size)
    if (form, kind) == (FORMAT, SESSION):
        return _decode_session(value)
    if (form, kind) == (FORMAT, TOMBSTONE):
        return _decode_tombstone(value)
    raise _corrupt(f"it has format {form} and kind {kind}, unknown to this release")


def _decode_session(value: bytes) -> Session:
    num_tensor_bytes = len(value) - TENSORS_AT
    if num_tensor_bytes < 0 or num_tensor_bytes % FLOAT32_BYTES:
        raise _corrupt(f"no session has {len(value)} bytes")
    fields: tuple[int, int, bytes, float, float, float, float]
    fields = SESSION_FIELDS.unpack_from(value, BODY_AT)
    return Session(*fields, tensors=value[TENSORS_AT:])


def _decode_tombstone(value: bytes) -> Tombstone:
    if len(value) != BODY_AT + TOMBSTONE_FIELDS.size:
        raise _corrupt(f"no tombstone has {len(value)} bytes")
    reason, step, at = TOMBSTONE_FIELDS.unpack_from(value, BODY_AT)
    if reason >= len(REASONS):
        raise _corrupt(f"reason {reason} is unknown to this release")
    return Tombstone(REASONS[reason], step, at)


def _corrupt(what: str) -> CorruptRecord:
    return CorruptRecord(
        f"a stored session cannot be read: {what}. It was not used. Delete the "
        'session, or send "start": true to begin it anew.'
    )
