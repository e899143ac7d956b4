"""Idempotency keys: the name of a request, by which a repeat is recognised.

`Idempotency-Key` of draft-ietf-httpapi-idempotency-key-header-07: a structured-field
String, that is quoted; without quotes it is taken as well. A request's fingerprint
distinguishes a repeat from another request under the same key.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from service.engine.rows import Refused, Row
from service.errors import InvalidRequest

MAX_KEY_CHARACTERS = 255
FINGERPRINT_BYTES = 16
# A String of RFC 8941: printable ASCII, quote and backslash escaped.
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
BARE = re.compile(r"[!#-+\--:<-~]+")  # without a space, a quote, a comma, a semicolon
ESCAPED = re.compile(r'\\(["\\])')


class Idempotency(NamedTuple):
    """What a request says of itself: its key, and the digest of all it asks for."""

    key: str
    fingerprint: bytes


def parse_key(value: str) -> str:
    """Read the key as a header holds it.

    Raises:
        InvalidRequest: It is neither a String of structured fields nor a bare word.
    """
    text = value.strip()
    found = QUOTED.fullmatch(text)
    key = ESCAPED.sub(r"\1", found[1]) if found else text
    if not (found or BARE.fullmatch(text)) or len(key) > MAX_KEY_CHARACTERS:
        raise InvalidRequest(
            f"Idempotency-Key is {value[:80]!r}; expected a quoted string of 1 to "
            f"{MAX_KEY_CHARACTERS} printable ASCII characters, such as "
            '"8e03978e-40d5-43dd-bc93-6894a57f9324". Send a new UUID with each new '
            "request, and the same one with its repeats."
        )
    return key


def fingerprint_request(body: bytes, *scope: str) -> bytes:
    """Digest what a request asks for: the JSON, not how it was written.

    Args:
        body: The body; JSON with its keys in another order is the same request.
        *scope: What the address says: the call, the version it names.
    """
    digest = blake2b(digest_size=FINGERPRINT_BYTES)
    for part in scope:
        digest.update(part.encode() + b"\0")
    digest.update(canonical(body))
    return digest.digest()


def canonical(body: bytes) -> bytes:
    """Write JSON in one form; what has none (a number too large) is not changed."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return body


def name_key(key: str) -> bytes:
    """Digest a key, for storing it."""
    return blake2b(key.encode(), digest_size=FINGERPRINT_BYTES).digest()


def stamp(
    row: Row | Refused, position: int, idempotency: Idempotency | None
) -> Row | Refused:
    """Mark a row of a session with the request it belongs to."""
    if idempotency is None or isinstance(row, Refused) or row.session is None:
        return row
    key, fingerprint = idempotency
    return row.replace(key=key, fingerprint=fingerprint, position=position)
