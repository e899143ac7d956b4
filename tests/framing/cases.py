"""A case of request framing, and how one is written."""

from __future__ import annotations

from typing import NamedTuple

PATH = "/v2/health/live"
POSTED = "/v2/repository/index"
# Answered with 404, so that it cannot be taken for the first one.
SECOND = b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Case(NamedTuple):
    """Bytes that a client sends, and the answers that are right.

    Attributes:
        name: What is unusual.
        sent: All that the client sends.
        expected: The statuses of the answers, in order; the connection is closed after
            them. Several where the standard leaves a choice.
    """

    name: str
    sent: bytes
    expected: tuple[tuple[int, ...], ...]


REFUSED = ((400,),)
BOTH = ((200, 404),)
OTHER = ((404, 404),)


def head(*lines: str, method: str = "GET", target: str = PATH) -> bytes:
    """Return a head with a host and these lines."""
    first = f"{method} {target} HTTP/1.1"
    return "\r\n".join([first, "Host: x", *lines, "", ""]).encode("latin-1")


def refuse(name: str, sent: bytes, *also: int) -> Case:
    """Return a case that is refused; also with other statuses."""
    return Case(name, sent + SECOND, (*REFUSED, *((status,) for status in also)))


def accept(name: str, sent: bytes) -> Case:
    """Return a case that is answered, and the request after it too."""
    return Case(name, sent + SECOND, BOTH)


def post(body: bytes, *lines: str) -> bytes:
    """Return a request with a body; `{ }` is answered with 200."""
    return head(*lines, method="POST", target=POSTED) + body
