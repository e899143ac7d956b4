"""Compressed bodies: undone within a bound, and chosen as the client accepts them."""

import gzip
import zlib

import pytest

from service.api.compression import COMPRESS, choose_coding, decompress
from service.common.loop import LARGE_BYTES
from service.errors import BodyTooLarge, InvalidRequest, NotServed

TEXT = b'{"inputs": []}' * 20


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("identity", TEXT),
        ("", TEXT),
    ],
    # The bytes would name the second they were made in, and a test with them.
    ids=["gzip", "GZIP", "x-gzip", "deflate", "identity", "none named"],
)
def test_body_is_decompressed(coding, data):
    assert decompress(data, coding, max_bytes=1000, reserve=[].append) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bomb_is_refused_before_it_grows(coding):
    bomb = COMPRESS[coding](b"\0" * 50_000_000)

    with pytest.raises(BodyTooLarge, match="longer than 1000 bytes"):
        decompress(bomb, coding, max_bytes=1000, reserve=[].append)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "damage", [lambda d: d[:-3], lambda d: d + b"x", lambda d: b""]
)
def test_damaged_stream_is_refused(coding, damage):
    with pytest.raises(InvalidRequest):
        decompress(
            damage(COMPRESS[coding](TEXT)), coding, max_bytes=1000, reserve=[].append
        )


def test_what_is_not_compressed_is_refused():
    with pytest.raises(InvalidRequest, match="not gzip"):
        decompress(TEXT, "gzip", max_bytes=1000, reserve=[].append)


def test_other_coding_is_refused():
    with pytest.raises(NotServed, match="expected gzip or deflate"):
        decompress(TEXT, "br", max_bytes=1000, reserve=[].append)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip;q=0.2, deflate;q=0.5", "deflate"),
        ("gzip;q=x", None),
        ("GZIP", "gzip"),
    ],
)
def test_coding_is_chosen_among_those_accepted(accepted, chosen):
    assert choose_coding(accepted) == chosen


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_room_is_made_before_a_large_body_grows(coding):
    text, reserved = bytes(LARGE_BYTES + 1), []

    undone = decompress(
        COMPRESS[coding](text), coding, max_bytes=10**6, reserve=reserved.append
    )

    assert undone == text
    assert reserved == [10**6, len(text)]
