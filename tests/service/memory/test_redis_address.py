from __future__ import annotations

import pytest

from service.stores.redis.address import RedisAddress, parse_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", RedisAddress((("localhost", 6379),))),
        (
            "rediss://user:a%40b@[::1]:7000/3?ca=/etc/ca.pem&timeout_seconds=0.5",
            RedisAddress(
                (("::1", 7000),),
                is_tls=True,
                username="user",
                password="a@b",
                database=3,
                timeout_seconds=0.5,
                ca="/etc/ca.pem",
            ),
        ),
        (
            "redis://:pw@one:7000,two?cluster=true&prefix=other&connections=4",
            RedisAddress(
                (("one", 7000), ("two", 6379)),
                password="pw",
                is_cluster=True,
                prefix="other",
                connections=4,
            ),
        ),
    ],
    ids=["shortest", "tls", "cluster"],
)
def test_address_is_read(url: str, expected: RedisAddress) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://u:hidden@h?clutser=true", "unknown: clutser; expected cluster="),
        ("redis://u:hidden@h?prefix=a&prefix=b", "given twice"),
        ("redis://u:hidden@h?cluster=yes", "expected cluster=false or cluster=true"),
        ("redis://u:hidden@h:hidden", "port is not a number from 1 to 65535"),
        ("redis://u:hidden@h/70?cluster=true", "has only database 0"),
        ("redis://u:hidden@h/x", "database is not a number"),
        ("redis://u:hidden@h?timeout_seconds=0", "timeout_seconds is not a number"),
        ("redis://u:hidden@h?prefix={a}", "without braces"),
        ("redis://u:hidden@h?ca=/x", "expected rediss://"),
        ("redis://u:hidden@", "names no host"),
        ("redis://one,two", "cluster=true"),
    ],
)
def test_wrong_part_is_named_and_the_password_is_not(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refusal:
        parse_address(url)

    assert "hidden" not in str(refusal.value)


def test_password_is_in_no_form_of_the_address() -> None:
    address = parse_address("redis://user:hidden@host:7000")

    assert str(address) == "redis://host:7000"
    assert "hidden" not in repr(address)
