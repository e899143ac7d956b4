"""Pages of a model's sessions, and the cursors between them.

A cursor is the last id a page looked at, in base64url: opaque to clients, and good for
whoever may list the sessions, because it names an id and no tenant.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NamedTuple

from service.api.problems import problem
from service.api.sessions.description import summarize
from service.errors import CorruptRecord, InvalidRequest
from service.sessions.lifecycle import (
    MAX_SESSION_BYTES,
    SessionKey,
    Sessions,
    check_session_id,
)
from service.sessions.record import Session

MAX_PAGE = 1000
# A page looks at no more than this many ids for each it may show: among many that are
# gone it ends early, with a cursor, rather than hold up the store.
LOOKS_PER_SESSION = 4


class Page(NamedTuple):
    """Some sessions, and where to continue; None at the end."""

    sessions: list[dict[str, Any]]
    after: str | None


def list_page(
    sessions: Sessions,
    tenant: str,
    model: str,
    *,
    prefix: str = "",
    after: str = "",
    limit: int = 100,
) -> Page:
    """List a tenant's live sessions of a model, in the byte order of their ids.

    A corrupt record is listed with its error, so that it can be deleted.

    Raises:
        InvalidRequest: The cursor is malformed, or the prefix is longer than any id.
    """
    if len(prefix.encode()) > MAX_SESSION_BYTES:
        raise InvalidRequest(
            f"the prefix has {len(prefix.encode())} bytes; no session id has more than "
            f"{MAX_SESSION_BYTES}. Send a shorter one."
        )
    start = read_cursor(after) if after else ""
    looks = limit * LOOKS_PER_SESSION
    shown: list[dict[str, Any]] = []
    listed = sessions.scan(SessionKey(tenant, model, start), prefix, looks)
    for position, (session, found) in enumerate(listed, start=1):
        record = found.record
        if isinstance(record, Session):
            shown.append(summarize(session, model, record))
        elif isinstance(record, CorruptRecord):
            shown.append({"session": session, "problem": problem(record)})
        is_all = position == len(listed) < looks
        if len(shown) == limit and not is_all:
            return Page(shown, write_cursor(session))
    is_end = len(listed) < looks
    return Page(shown, None if is_end else write_cursor(listed[-1].session))


def write_cursor(session: str) -> str:
    """Write where a page ended."""
    return urlsafe_b64encode(session.encode()).rstrip(b"=").decode()


def read_cursor(text: str) -> str:
    """Read where a page ended.

    Raises:
        InvalidRequest: It is no cursor.
    """
    try:
        session = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        check_session_id(session)
        if write_cursor(session) == text:
            return session
    except (ValueError, InvalidRequest):
        pass
    raise InvalidRequest(
        f"after is {text[:80]!r}, which is no cursor; expected the `after` of the page "
        "before. Leave it out to begin."
    )
