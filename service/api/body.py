"""A request's body, whole or not at all, from its WSGI environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from service.api.body_budget import BodyBudget
from service.api.problems import TOO_LARGE
from service.common.loop import LARGE_BYTES
from service.errors import BodyTooLarge, InvalidRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CLAIM = "carryover.body_claim"


def read_body(
    environ: WSGIEnvironment, max_bytes: int, budget: BodyBudget, tenant: str
) -> bytes:
    """Read the body of a request; a large one when the budget has room for it.

    Args:
        environ: The request; `release_body` gives its room back.
        max_bytes: Longest body accepted.
        budget: Of the bytes of large bodies.
        tenant: Of the request.

    Raises:
        BodyTooLarge: It is longer than the service accepts.
        InvalidRequest: It ended before its announced length, or cannot be read.
        Overloaded: There was no room for it in time.
    """
    text = environ.get("CONTENT_LENGTH") or ""
    if text.isdecimal() and "HTTP_TRANSFER_ENCODING" not in environ:
        announced: int | None = int(text)
    else:
        announced = read_length(environ)
    if announced is not None and announced > max_bytes:
        raise BodyTooLarge(TOO_LARGE.format(limit=max_bytes), max_body_bytes=max_bytes)
    if announced is None and not environ.get("wsgi.input_terminated"):
        return b""  # neither a length nor chunks: there is no body
    # One more than is accepted distinguishes a longer body from one that just fits.
    end = max_bytes + 1 if announced is None else announced
    data = read(environ, min(end, LARGE_BYTES + 1))
    if LARGE_BYTES < len(data) <= max_bytes:
        # Only now: who announces much and sends nothing takes no room.
        stop = getattr(environ["wsgi.input"], "stop", None)
        reserve(environ, budget, tenant, min(end, max_bytes), stop)
        data += read(environ, end - len(data))
        reserve(environ, budget, tenant, min(len(data), max_bytes))
    if len(data) > max_bytes:
        raise BodyTooLarge(TOO_LARGE.format(limit=max_bytes), max_body_bytes=max_bytes)
    if announced is not None and len(data) != announced:
        raise InvalidRequest(
            f"the body ended after {len(data)} of {announced} bytes; nothing was "
            "applied. Send it again."
        )
    return data


def read(environ: WSGIEnvironment, num_bytes: int) -> bytes:
    """Read up to `num_bytes`.

    Raises:
        InvalidRequest: They cannot be read.
    """
    try:
        data: bytes = environ["wsgi.input"].read(num_bytes)
    except (OSError, ValueError) as error:  # a lost connection, a broken chunk
        raise InvalidRequest(
            f"the body cannot be read: {error}; nothing was applied. Send it again."
        ) from error
    return data


def reserve(
    environ: WSGIEnvironment,
    budget: BodyBudget,
    tenant: str,
    num_bytes: int,
    stop: Callable[[], None] | None = None,
) -> None:
    """Change the room reserved for a request's body to a number of bytes.

    Args:
        environ: The request.
        budget: Of the bytes of large bodies.
        tenant: Of the request.
        num_bytes: How much.
        stop: Ends the reading of the body, if it is not here yet.

    Raises:
        Overloaded: There was not enough room in time.
    """
    claimed = environ.get(CLAIM)
    if claimed is not None and claimed[1].num_bytes >= num_bytes:
        budget.settle(claimed[1], num_bytes)
        return
    # Two that keep what they have would wait for each other.
    release_body(environ)
    environ[CLAIM] = budget, budget.claim(tenant, num_bytes, stop)


def release_body(environ: WSGIEnvironment) -> None:
    """Give the room of a request's body back, if it has any."""
    claimed = environ.pop(CLAIM, None)
    if claimed is not None:
        budget, claim = claimed
        budget.release(claim)


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
