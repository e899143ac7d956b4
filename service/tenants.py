"""Tenants: whom a request belongs to, told by the API key it presents.

The keys file has a line `tenant: SHA-256 of a key` for every key; the keys themselves
are nowhere on the service's side. They are long and random, so one round of SHA-256
without salt is enough: there is nothing to guess. It knows the WSGI environment's names
of two headers, and no framework.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any

from service.errors import Unauthorized

# Leaves room for model and session id in the 400 bytes of a store's key.
TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")
KEY_RANDOM_BYTES = 32
# Tells a leaked key apart from other secrets, for people and for scanners.
KEY_PREFIX = "carryover_"
SCHEME = "bearer "
# Answered to anyone: a supervisor and a scraper have no key.
OPEN_PATHS = ("/v2/health/", "/metrics", "/")


class Tenants:
    """Whose each API key is.

    Args:
        owners: Tenant by the SHA-256 of a key, in lower-case hexadecimal; None where
            the service has no keys, and everybody is the tenant "".
    """

    def __init__(self, owners: Mapping[str, str] | None) -> None:
        self._owners = owners
        # What was looked up beside the tenant, to compare all of it in constant time.
        self._held = {digest: (digest, name) for digest, name in (owners or {}).items()}

    def identify(self, environ: Mapping[str, Any]) -> str:
        """Return the tenant of a request.

        The time it takes says nothing about any key: what is looked up is a digest,
        and whoever presents a key cannot choose its digest.

        Args:
            environ: The WSGI environment: `HTTP_AUTHORIZATION` ("Bearer KEY") or
                `HTTP_X_API_KEY`.

        Raises:
            Unauthorized: Keys are needed, and it has none or one that is unknown.
        """
        if self._owners is None:
            return ""
        key = environ.get("HTTP_AUTHORIZATION", "")
        if key[:7].lower() == SCHEME:
            key = key[7:].strip()
        else:
            key = environ.get("HTTP_X_API_KEY", "")
        digest = sha256(key.encode("utf-8", "replace")).hexdigest()
        held = self._held.get(digest)
        if held is None or not compare_digest(held[0], digest):
            raise _unauthorized(bool(key))
        return held[1]


def is_open(path: str) -> bool:
    """Tell whether a path is answered without a key."""
    return path.startswith(OPEN_PATHS[0]) or path in OPEN_PATHS[1:]


def load_tenants(path: str) -> Tenants:
    """Read the keys file; an empty path means that the service has no keys.

    Raises:
        ValueError: The file cannot be read, or a line of it has another form. What
            the line holds is not repeated: it may be a key put there by mistake.
    """
    if not path:
        return Tenants(None)
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"The API keys file {path} cannot be read: {error}. Make a key with "
            "`python -m service key TENANT`, or unset CARRYOVER_API_KEYS_FILE."
        ) from error
    owners: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            tenant, digest = _read_line(line, f"line {number} of {path}")
            if owners.setdefault(digest, tenant) != tenant:
                raise ValueError(
                    f"line {number} of {path} gives a key of tenant {owners[digest]} "
                    f"to tenant {tenant} too; a key belongs to one. Remove one line."
                )
    return Tenants(owners)


def _read_line(line: str, where: str) -> tuple[str, str]:
    tenant, _, digest = (part.strip() for part in line.partition(":"))
    if not TENANT.fullmatch(tenant) or not DIGEST.fullmatch(digest):
        raise ValueError(
            f"{where} is no `tenant: SHA-256 of a key`; expected a name of 1 to 64 "
            "letters, digits, dots, hyphens or underscores, and 64 lower-case "
            "hexadecimal digits. Make keys with `python -m service key TENANT`."
        )
    return tenant, digest


def add_key(path: Path, tenant: str) -> str:
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
    line = f"{tenant}: {sha256(key.encode()).hexdigest()}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write to a file opened for appending: two commands at once lose no line.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "rb+", buffering=0) as file:
        file.write((_line_end(file.read()) + line).encode())
        os.fsync(descriptor)
    return key


def _line_end(content: bytes) -> str:
    # A file edited by hand may lack its last line end.
    return "\n" if content and not content.endswith(b"\n") else ""


def _unauthorized(is_presented: bool) -> Unauthorized:
    # One sentence a case: which keys there are, and whose, is nobody's business.
    received = "an API key this service does not know" if is_presented else "no API key"
    return Unauthorized(
        f"the request has {received}; expected the header `Authorization: Bearer KEY` "
        "or `X-API-Key: KEY`. Whoever runs the service makes keys with `python -m "
        "service key TENANT`."
    )
