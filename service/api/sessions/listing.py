"""Pages of a model's sessions, cursors between them, and the description of a session.

A cursor is the last id a page looked at, in base64url: opaque to clients, and good for
whoever may list the sessions, because it names an id and no tenant.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from service.api.problems import problem
from service.common.text import format_time
from service.errors import CorruptRecord, InvalidRequest
from service.registry.catalog import Model
from service.registry.encoding.last_event import show_event
from service.sessions.lifecycle import Sessions
from service.sessions.record import (
    MAX_SESSION_BYTES,
    Session,
    SessionKey,
    check_session_id,
    encode,
)
from service.sessions.sections import list_steps
from service.sessions.state_export import split_tensors
from service.sessions.version_policy import find_maker

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


def summarize(session: str, model: str, record: Session) -> dict[str, Any]:
    """Describe what needs no network."""
    return {
        "session": session,
        "model": model,
        "model_version": str(record.model_version),
        "step": record.step,
        "created_at": format_time(record.created_at),
        "updated_at": format_time(record.updated_at),
        "expires_at": format_time(record.expires_at),
        "idle_seconds": record.idle_seconds,
        "memory_bytes": len(record.tensors),
        "record_bytes": len(encode(record)),
    }


def describe_session(
    key: SessionKey, record: Session, family: Sequence[Model]
) -> dict[str, Any]:
    """Describe all of a session.

    Args:
        key: Its tenant, model and id.
        record: It.
        family: The served versions of its model. Where its own is not among them, its
            last event and its norms are left out.
    """
    maker = find_maker(record, family)
    norms = None if maker is None else measure(record.tensors, maker)
    return summarize(key.session, key.model, record) | {
        "last_event": maker
        and show_event(record.last_event, maker.encoder, maker.manifest.input),
        "norms": norms,
        "rewind_steps": list_steps(record.snapshots),
    }


def measure(tensors: bytes, model: Model) -> dict[str, float]:
    """Return the Euclidean norm of each memory tensor, by name."""
    arrays = split_tensors(tensors, model)
    return {
        # In double: the square of a large float32 overflows.
        name: float(np.linalg.norm(array.astype(np.float64)))
        for name, array in arrays.items()
    }
