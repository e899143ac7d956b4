from __future__ import annotations

import struct
import zlib

import msgspec
import pytest

from service.errors import CorruptRecord
from service.sessions.record import REASONS, Session, Tombstone, decode, encode

SESSION = Session(
    step=2**40 + 7,
    model_version=3,
    network=bytes(range(16)),
    created_at=1_700_000_000.125,
    updated_at=1_700_000_100.25,
    expires_at=1_700_003_700.0000001,
    idle_seconds=3600.5,
    tensors=struct.pack("<4f", 0.5, -1.25, 3e-38, 65504.0),
)
FULL = SESSION.replace(
    last_event=b"\x07\0\0\0", answers=b"answers", snapshots=b"snap", history=b"history!"
)
TOMBSTONES = [Tombstone(reason, 12, 1_700_000_000.5) for reason in REASONS]
RECORDS = [
    SESSION,
    FULL,
    SESSION.replace(tensors=b""),
    SESSION.replace(last_event=b"odd"),
    SESSION.replace(answers=b"a"),
    SESSION.replace(snapshots=b"bc"),
    SESSION.replace(history=b"def", last_event=b"12345678"),
    FULL.replace(snapshots=b""),
    *TOMBSTONES,
    TOMBSTONES[0].replace(answers=b"answers"),
]
# What release 0.1 wrote: the same fields, no sections, and format 1.
FIELDS_1 = struct.Struct("<QQ16sdddd")
SESSION_1 = (
    b"\x01\x00" + FIELDS_1.pack(*msgspec.structs.astuple(SESSION)[:7]) + SESSION.tensors
)


def with_checksum(payload: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(payload)) + payload


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_comes_back_as_it_was(record: Session | Tombstone) -> None:
    assert decode(encode(record)) == record


def test_session_takes_little_more_than_its_tensors() -> None:
    assert len(encode(SESSION)) - len(SESSION.tensors) == 75


def test_sections_take_four_bytes_more_than_they_hold() -> None:
    sections = FULL.answers + FULL.snapshots + FULL.history

    spent = len(encode(FULL)) - len(encode(SESSION))

    assert spent == len(FULL.last_event) + len(sections) + 3 * 4


def test_session_of_the_first_format_is_read() -> None:
    assert decode(with_checksum(SESSION_1)) == SESSION


def test_tombstone_of_the_first_format_is_read() -> None:
    payload = b"\x01\x01" + struct.pack("<BQd", 1, 12, 1_700_000_000.5)

    assert decode(with_checksum(payload)) == TOMBSTONES[1]


@pytest.mark.parametrize(
    "record", [SESSION, FULL, TOMBSTONES[0]], ids=["live", "full", "gone"]
)
def test_every_flipped_bit_is_noticed(record: Session | Tombstone) -> None:
    value = encode(record)

    for place in range(len(value) * 8):
        damaged = bytearray(value)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptRecord):
            decode(bytes(damaged))


@pytest.mark.parametrize(
    "record", [SESSION, FULL, TOMBSTONES[0]], ids=["live", "full", "gone"]
)
def test_every_truncation_and_addition_is_noticed(record: Session | Tombstone) -> None:
    value = encode(record)

    for damaged in [value[:length] for length in range(len(value))] + [value + b"\0"]:
        with pytest.raises(CorruptRecord, match="was not used"):
            decode(damaged)


FIELDS = bytes(64)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x03\x00" + bytes(69), "format 3 and kind 0, unknown to this release"),
        (b"\x02\x07" + bytes(69), "format 2 and kind 7, unknown to this release"),
        (b"\x01\x00" + bytes(63), "no session has 69 bytes"),
        (b"\x01\x00" + bytes(65), "no session has 71 bytes"),
        (b"\x02\x00" + bytes(68), "no session has 74 bytes"),
        (b"\x02\x00" + bytes(70), "no session has 76 bytes"),
        (b"\x02\x00" + FIELDS + b"\x09\0\0\0" + b"\0" + bytes(8), "no session has 83"),
        (b"\x02\x00" + FIELDS + bytes(4) + b"\x01", "no session has 75 bytes"),
        (b"\x02\x00" + FIELDS + bytes(4) + b"\x01" + b"\x09\0\0\0", "no session has"),
        (b"\x02\x00" + FIELDS + bytes(4) + b"\x08", "sections 0b1000, unknown"),
        (b"\x02\x01" + bytes(16), "no tombstone has 22 bytes"),
        (b"\x02\x01\x09" + bytes(16), "reason 9 is unknown"),
    ],
)
def test_whole_but_foreign_record_is_corrupt(payload: bytes, reason: str) -> None:
    with pytest.raises(CorruptRecord, match=reason):
        decode(with_checksum(payload))


@pytest.mark.parametrize(
    "wrong", [{"network": b"short"}, {"tensors": b"12345"}], ids=["network", "tensors"]
)
def test_session_of_impossible_lengths_is_not_encoded(wrong: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="expected 16, and a multiple of 4"):
        encode(SESSION.replace(**wrong))
