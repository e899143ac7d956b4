"""Tenants: the tenant of a request and what its API key allows, by the keys file.

It knows the WSGI environment's names of three headers, and no framework.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any

from service.api.api_keys import ApiKey, Scope, parse_keys
from service.common.files import read_regular
from service.common.text import redact
from service.errors import Forbidden, Unauthorized

log = logging.getLogger(__name__)

# The file is looked at this often at most: 20 microseconds for a hundred keys.
LOOK_SECONDS = 0.5
SCHEME = "bearer "


class Tenants:
    """Finds the tenant of a request by its API key.

    Args:
        find_keys: Returns the keys by their digests, as they are now; None where the
            service has no keys, and everybody is the tenant "".
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        find_keys: Callable[[], Mapping[str, ApiKey]] | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._find_keys = find_keys
        self._clock = clock

    def identify(self, environ: Mapping[str, Any], scope: Scope | None) -> str:
        """Return the tenant of a request.

        The time it takes says nothing about any key: what is looked up is a digest,
        and whoever presents a key cannot choose its digest.

        Args:
            environ: The WSGI environment: `HTTP_AUTHORIZATION` ("Bearer KEY") or
                `HTTP_X_API_KEY`.
            scope: What the key must allow; None where any key will do.

        Raises:
            Unauthorized: Keys are needed, and it has none, or one that is unknown or
                has expired.
            Forbidden: Its key lacks the scope; or, without keys, a browser sent it
                from a page of another site, and not to read.
        """
        if self._find_keys is None:
            # A browser sends the user's own requests and those of any page alike.
            if environ.get("HTTP_SEC_FETCH_SITE") == "cross-site":
                _refuse_changes(environ)
            return ""
        key = environ.get("HTTP_AUTHORIZATION", "")
        if key[:7].lower() == SCHEME:
            key = key[7:].strip()
        else:
            key = environ.get("HTTP_X_API_KEY", "")
        digest = sha256(key.encode("utf-8", "replace")).hexdigest()
        found = self._find_keys().get(digest)
        if found is None or not compare_digest(found.digest, digest):
            raise _unauthorized("an API key this service does not know" if key else "")
        if found.expires_at <= self._clock():
            raise _unauthorized("an API key that has expired")
        if scope is not None and scope not in found.scopes:
            raise _forbidden(scope, found)
        return found.tenant


def load_tenants(path: str, clock: Callable[[], float] = time.time) -> Tenants:
    """Open the keys file; an empty path means that the service has no keys.

    A file that cannot be read is logged, and every key is refused until it can be.
    """
    if not path:
        return Tenants(None)
    file = KeysFile(Path(path), clock)
    file.keys()  # logs at the start which lines are not used
    return Tenants(file.keys, clock)


def _refuse_changes(environ: Mapping[str, Any]) -> None:
    # Other pages cannot read an answer without CORS, so that GET and HEAD do no harm.
    method = environ["REQUEST_METHOD"]
    if method not in ("GET", "HEAD"):
        raise Forbidden(
            f"the request is a {method} that a browser sends from a page of another "
            "site (Sec-Fetch-Site: cross-site); expected a page of this service, or a "
            "client that is not a browser. Call the service from the site's server, or "
            "through a proxy on the site's own address."
        )


def _unauthorized(received: str) -> Unauthorized:
    # One sentence a case: an error must not reveal which keys exist, or their tenants.
    return Unauthorized(
        f"the request has {received or 'no API key'}; expected the header "
        "`Authorization: Bearer KEY` or `X-API-Key: KEY`. Whoever runs the service "
        "makes keys with `python -m service key TENANT`."
    )


def _forbidden(scope: Scope, key: ApiKey) -> Forbidden:
    scopes = ", ".join(sorted(key.scopes))
    return Forbidden(
        f"the API key has scope {scopes}; expected one with {scope}. Whoever runs the "
        f"service makes it with `python -m service key {key.tenant} --scope {scope}`.",
        scope=scope,
    )


class KeysFile:
    """The keys file, read again when its content changes.

    A file that cannot be read leaves the keys of its last good state. A line of another
    form is logged by its number, and the other lines are used.

    Args:
        path: The file.
        clock: Seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._content: bytes | None = None
        self._seen: bytes | None = None
        self._failure: str | None = None
        self._looked_at = 0.0
        self._keys: Mapping[str, ApiKey] = {}

    def keys(self) -> Mapping[str, ApiKey]:
        """Return the keys by their digests."""
        now = self._clock()
        # The clock may be set back.
        if not 0 <= now - self._looked_at < LOOK_SECONDS:
            self._looked_at = now
            self._look(now)
        return self._keys

    def _look(self, now: float) -> None:
        try:
            content = read_regular(self._path)
            age = now - self._path.stat().st_mtime
        except OSError as error:
            self._note_failure(error.strerror)
            return
        self._failure = None
        # A file that is being written is empty or half its size for a moment.
        is_written = not 0 <= age < LOOK_SECONDS or content == self._seen
        self._seen = content
        if content != self._content and (is_written or self._content is None):
            self._keys, problems = parse_keys(content)
            for problem in problems:
                log.warning("%s: %s", self._path, problem)
            self._content = content

    def _note_failure(self, failure: str | None) -> None:
        if failure != self._failure:
            self._failure = failure
            log.error(
                "the API keys file %s cannot be read: %s. The %d keys of its last good "
                "state are used; restore the file, no restart is needed.",
                redact(str(self._path)),
                failure,
                len(self._keys),
            )
