"""A request's body, whole or not at all, from its WSGI environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import BodyTooLarge, InvalidRequest
from service.problems import TOO_LARGE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def read_body(environ: WSGIEnvironment, max_bytes: int) -> bytes:
    """Read the body of a request.

    Args:
        environ: The request.
        max_bytes: Longest body accepted.

    Raises:
        BodyTooLarge: It is longer than the service accepts.
        InvalidRequest: It ended before its announced length, or cannot be read.
    """
    announced = read_length(environ)
    if announced is not None and announced > max_bytes:
        raise BodyTooLarge(TOO_LARGE.format(limit=max_bytes), max_body_bytes=max_bytes)
    if announced is None and not environ.get("wsgi.input_terminated"):
        return b""  # neither a length nor chunks: there is no body
    try:
        # One more than is accepted tells a longer body from one that just fits.
        data: bytes = environ["wsgi.input"].read(
            max_bytes + 1 if announced is None else announced
        )
    except (OSError, ValueError) as error:  # a lost connection, a broken chunk
        raise InvalidRequest(
            f"the body cannot be read: {error}; nothing was applied. Send it again."
        ) from error
    if len(data) > max_bytes:
        raise BodyTooLarge(TOO_LARGE.format(limit=max_bytes), max_body_bytes=max_bytes)
    if announced is not None and len(data) != announced:
        raise InvalidRequest(
            f"the body ended after {len(data)} of {announced} bytes; nothing was "
            "applied. Send it again."
        )
    return data


def read_length(environ: WSGIEnvironment) -> int | None:
    """Return the announced length of the body; None where it comes in chunks."""
    text = environ.get("CONTENT_LENGTH") or ""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() or not text:
        return None
    if not text.isdecimal():
        raise InvalidRequest(
            f"Content-Length is {text[:40]!r}; expected a whole number of bytes."
        )
    return int(text)
