from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import pytest

from service.errors import CorruptRecord
from service.memory.record import REASONS, Session, Tombstone, decode, encode

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
TOMBSTONES = [Tombstone(reason, 12, 1_700_000_000.5) for reason in REASONS]
RECORDS = [SESSION, replace(SESSION, tensors=b""), *TOMBSTONES]


def with_checksum(payload: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(payload)) + payload


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_comes_back_as_it_was(record: Session | Tombstone) -> None:
    assert decode(encode(record)) == record


def test_session_takes_little_more_than_its_tensors() -> None:
    assert len(encode(SESSION)) - len(SESSION.tensors) == 70


@pytest.mark.parametrize("record", [SESSION, TOMBSTONES[0]], ids=["live", "gone"])
def test_every_flipped_bit_is_noticed(record: Session | Tombstone) -> None:
    value = encode(record)

    for place in range(len(value) * 8):
        damaged = bytearray(value)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptRecord):
            decode(bytes(damaged))


@pytest.mark.parametrize("record", [SESSION, TOMBSTONES[0]], ids=["live", "gone"])
def test_every_truncation_and_addition_is_noticed(record: Session | Tombstone) -> None:
    value = encode(record)

    for damaged in [value[:length] for length in range(len(value))] + [value + b"\0"]:
        with pytest.raises(CorruptRecord, match="was not used"):
            decode(damaged)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x02\x00" + bytes(64), "format 2 and kind 0, unknown to this release"),
        (b"\x01\x07" + bytes(64), "format 1 and kind 7, unknown to this release"),
        (b"\x01\x00" + bytes(63), "no session has 69 bytes"),
        (b"\x01\x00" + bytes(65), "no session has 71 bytes"),
        (b"\x01\x01" + bytes(16), "no tombstone has 22 bytes"),
        (b"\x01\x01\x09" + bytes(16), "reason 9 is unknown"),
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
        encode(replace(SESSION, **wrong))
