"""Idempotency keys as they are read, and the digest of a request."""

import pytest

from service.engine.idempotency import fingerprint_request, parse_key
from service.errors import InvalidRequest


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"abc"', "abc"),
        (' "a b" ', "a b"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ("8e03978e-40d5", "8e03978e-40d5"),
        ("x" * 255, "x" * 255),
    ],
)
def test_key_is_read_with_quotes_and_without(value, key):
    assert parse_key(value) == key


@pytest.mark.parametrize(
    "value", ["", '""', '"abc', 'a"b', "a b", "a,b", '"a"; p=1', '"é"', "x" * 256]
)
def test_what_is_no_key_is_refused(value):
    with pytest.raises(InvalidRequest, match="expected a quoted string"):
        parse_key(value)


def test_fingerprint_is_of_the_json_not_of_how_it_is_written():
    one = fingerprint_request(b'{"a": [1, 2], "b": null}', "advance")

    assert fingerprint_request(b'{"b":null,"a":[1,2]}', "advance") == one
    assert fingerprint_request(b'{"b":null,"a":[2,1]}', "advance") != one
    assert fingerprint_request(b'{"b":null,"a":[1,2]}', "explain") != one


def test_json_without_one_form_is_digested_as_it_came():
    huge = b'{"a": 1e400}'

    assert fingerprint_request(huge) == fingerprint_request(huge)
    assert fingerprint_request(huge) != fingerprint_request(huge + b" ")
