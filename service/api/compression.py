"""Compressed bodies, gzip and deflate: bounded on the way in, asked for on the way out.

Knows the names of the codings as HTTP has them; nothing else of a request.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

from service.common.loop import LARGE_BYTES
from service.errors import BodyTooLarge, InvalidRequest, NotServed

# zlib's words for the two: 16 adds the gzip header to a window of 2**15.
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
# The cheapest level: it halves JSON of numbers, and better ones hardly do more.
LEVEL = 1
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, LEVEL, mtime=0),
    "deflate": lambda data: zlib.compress(data, LEVEL),
}


def decompress(
    data: bytes, coding: str, *, max_bytes: int, reserve: Callable[[int], None]
) -> bytes:
    """Undo the coding of a body.

    Args:
        data: The body as it came.
        coding: Its Content-Encoding.
        max_bytes: Most bytes it may become; no more are ever in memory.
        reserve: Makes room for a large body, before it is undone as far as that; called
            again with its size, once that is known.

    Raises:
        BodyTooLarge: It would become longer.
        InvalidRequest: It is not of that coding, or ends too soon.
        Overloaded: There was no room for it in time.
        NotServed: The coding is not spoken here.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in WINDOWS:
        raise NotServed(
            f"Content-Encoding is {coding[:40]!r}; expected gzip or deflate. Send the "
            "body in one of them, or uncompressed."
        )
    stream = zlib.decompressobj(WINDOWS[name])
    try:
        # One more than is accepted distinguishes a longer body from one that just fits.
        whole = stream.decompress(data, min(LARGE_BYTES, max_bytes) + 1)
        if LARGE_BYTES < len(whole) <= max_bytes:
            reserve(max_bytes)
            rest = max_bytes + 1 - len(whole)
            whole += stream.decompress(stream.unconsumed_tail, rest)
            reserve(len(whole))
    except zlib.error as error:
        raise InvalidRequest(f"the body is not {name} ({error}).") from None
    if len(whole) > max_bytes:
        raise BodyTooLarge(
            f"the body is longer than {max_bytes} bytes once decompressed. Split the "
            "rows over several requests; sessions carry the memory across them.",
            max_body_bytes=max_bytes,
        )
    if not stream.eof or stream.unused_data:
        raise InvalidRequest(
            f"the body is not one whole {name} stream; nothing was applied. Send it "
            "again."
        )
    return whole


def choose_coding(accepted: str) -> str | None:
    """Choose among what a client accepts; gzip before deflate, None for neither."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = read_weight(weight)
    best = max(COMPRESS, key=lambda name: weights.get(name, 0.0))
    return best if weights.get(best, 0.0) > 0 else None


def read_weight(text: str) -> float:
    """Read the weight of a coding, such as `q=0.5`; 1 without one."""
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
