"""Requests whose headers leave two answers to where they end."""

from email.message import Message

import pytest

from service.framing import check_framing


def headers(*pairs):
    message = Message()
    for name, value in pairs:
        message[name] = value
    return message


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("Content-Length", "3")],
        [("Transfer-Encoding", "chunked")],
        [("transfer-encoding", " Chunked ")],
    ],
    ids=["none", "length", "chunked", "in another case"],
)
def test_clear_framing_passes(pairs):
    check_framing(headers(*pairs))


@pytest.mark.parametrize(
    "pairs",
    [
        [("Content-Length", "3"), ("Content-Length", "4")],
        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "xchunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
    ],
    ids=["two lengths", "both", "another coding", "no coding", "twice chunked"],
)
def test_unclear_framing_is_refused(pairs):
    with pytest.raises(ValueError, match="expected"):
        check_framing(headers(*pairs))
