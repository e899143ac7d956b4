"""API keys: the form of the keys file, and new keys.

A line is `tenant: SHA-256 of a key`, with `scope=` and `expires=` after it where the
key has others than the usual. The keys themselves are nowhere on the service's side.
They are long and random, so one round of SHA-256 without salt is enough.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from service.common.files import read_regular
from service.common.text import redact

Scope = Literal["predict", "sessions", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
USUAL_SCOPES: frozenset[str] = frozenset({"predict", "sessions"})

# Leaves room for model and session id in the 400 bytes of a store's key.
TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")
KEY_RANDOM_BYTES = 32
# Distinguishes a leaked key from other secrets, for people and for scanners.
KEY_PREFIX = "carryover_"
NEVER = float("inf")
FORM = (
    "expected `tenant: SHA-256 of a key`, then scope=predict,sessions,admin and "
    "expires=2027-01-31T00:00:00Z if wanted. Make keys with `python -m service key "
    "TENANT`"
)


class ApiKey(NamedTuple):
    """An API key: its owner, scopes and expiry.

    Attributes:
        digest: SHA-256 of the key, in lower-case hexadecimal.
        tenant: Owner of the sessions that the key reaches.
        scopes: What the key allows, of `SCOPES`.
        expires_at: Seconds since 1970 from which the key is refused.
    """

    digest: str
    tenant: str
    scopes: frozenset[str] = USUAL_SCOPES
    expires_at: float = NEVER


def parse_keys(content: bytes) -> tuple[dict[str, ApiKey], list[str]]:
    """Read the lines of a keys file.

    Returns:
        The keys by their digests, and a sentence for each line that is not used. What
        the line contains is not repeated: it may be a key put there by mistake.
    """
    keys: dict[str, ApiKey] = {}
    problems = []
    # One byte that is not UTF-8 spoils its own line only.
    lines = content.decode("utf-8-sig", "replace").split("\n")
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        key = _parse_line(line)
        if key is None:
            problems.append(f"line {number} is not an API key; {FORM}.")
        elif keys.setdefault(key.digest, key) != key:
            problems.append(
                f"line {number} has the key of another line, and another tenant, "
                "scope or expiry; the first is used. Remove one."
            )
    return keys, problems


def _parse_line(line: str) -> ApiKey | None:
    tenant, _, rest = line.partition(":")
    digest, *options = rest.split() or [""]
    tenant = tenant.strip()
    given = dict(option.partition("=")[::2] for option in options)
    is_known = given.keys() <= {"scope", "expires"} and len(given) == len(options)
    if not (TENANT.fullmatch(tenant) and DIGEST.fullmatch(digest) and is_known):
        return None
    try:
        scopes = parse_scopes(given["scope"]) if "scope" in given else USUAL_SCOPES
        expires_at = parse_expiry(given["expires"]) if "expires" in given else NEVER
    except ValueError:
        return None
    return ApiKey(digest, tenant, scopes, expires_at)


def parse_scopes(text: str) -> frozenset[str]:
    """Read scopes with commas between them.

    Raises:
        ValueError: One is not a scope.
    """
    scopes = frozenset(text.split(","))
    if not scopes <= set(SCOPES):
        raise ValueError(f"scope is {text!r}; expected {', '.join(SCOPES)}. Name some.")
    return scopes


def parse_expiry(text: str) -> float:
    """Read a date or a time in ISO 8601, UTC unless it has an offset.

    Raises:
        ValueError: It is neither.
    """
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=time.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"expires is {text!r}; expected a date or a time in UTC. Write it as "
            "2027-01-31 or 2027-01-31T12:00:00Z."
        ) from None


def check_keys_file(name: str) -> list[str]:
    """Read a keys file once, and return a sentence for each line that is not used.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        return parse_keys(read_regular(Path(name)))[1]
    except OSError as error:
        raise ValueError(
            f"The API keys file {redact(name)} cannot be read: {error.strerror}. Make "
            "a key with `python -m service key TENANT`, or unset the setting "
            "CARRYOVER_API_KEYS_FILE."
        ) from error


def add_key(
    path: Path,
    tenant: str,
    scopes: Iterable[str] = USUAL_SCOPES,
    expires_at: float = NEVER,
) -> str:
    """Make a key for a tenant and add its digest to a keys file.

    Returns:
        The key, which is kept nowhere.

    Raises:
        ValueError: No tenant can have this name.
        OSError: The file cannot be written.
    """
    if not TENANT.fullmatch(tenant):
        raise ValueError(
            f"{tenant!r} cannot name a tenant; expected 1 to 64 letters, digits, dots, "
            "hyphens or underscores."
        )
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_RANDOM_BYTES)
    line = f"{tenant}: {sha256(key.encode()).hexdigest()}"
    if set(scopes) != USUAL_SCOPES:
        line += f" scope={','.join(sorted(scopes))}"
    if expires_at != NEVER:
        line += f" expires={datetime.fromtimestamp(expires_at, UTC).isoformat()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write to a file opened for appending: two commands at once lose no line.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "rb+", buffering=0) as file:
        file.write((_line_end(file.read()) + line + "\n").encode())
        os.fsync(descriptor)
    return key


def _line_end(content: bytes) -> str:
    # A file edited by hand may lack its last line end.
    return "\n" if content and not content.endswith(b"\n") else ""
