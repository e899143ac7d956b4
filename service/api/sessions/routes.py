"""`GET /v1/models/{model}/sessions[/{id}]` and `DELETE`: memory as a resource."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, UnsetType

from service.api.context import find_model, read_query, services, tenant
from service.api.etags import answer_unless_known, read_condition, tag_of
from service.api.openapi import Parameter, describes
from service.api.responses import json_response
from service.api.sessions.listing import MAX_PAGE, describe_session, list_page
from service.common.loop import Breaks
from service.errors import (
    CarryoverError,
    Conflict,
    CorruptRecord,
    InvalidRequest,
    ModelNotFound,
    PreconditionFailed,
    SessionGone,
    SessionNotFound,
)
from service.sessions.lifecycle import live
from service.sessions.preconditions import StoredSession
from service.sessions.record import UNUSABLE, Session, SessionKey, check_session_id

blueprint = Blueprint(
    "sessions", __name__, url_prefix="/v1/models/<model:name>/sessions"
)


SESSION_ERRORS: tuple[type[CarryoverError], ...] = (
    InvalidRequest,
    ModelNotFound,
    SessionNotFound,
    SessionGone,
    PreconditionFailed,
)
IF_MATCH = Parameter(
    "If-Match", "header", str, "The call is for the state with this ETag only."
)


class SessionSummary(msgspec.Struct, kw_only=True):
    """Listed state of a session; of one that cannot be read, only its problem."""

    session: str
    model: str | UnsetType = UNSET
    model_version: str | UnsetType = UNSET
    step: int | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    idle_seconds: float | UnsetType = UNSET
    memory_bytes: int | UnsetType = UNSET
    record_bytes: int | UnsetType = UNSET
    problem: dict[str, Any] | UnsetType = UNSET


class SessionPage(msgspec.Struct):
    """Some sessions, and the cursor of the next page."""

    sessions: list[SessionSummary]
    after: str | None


class SessionState(msgspec.Struct):
    """Description of a live session."""

    session: str
    model: str
    model_version: str
    step: int
    created_at: str
    updated_at: str
    expires_at: str
    idle_seconds: float
    memory_bytes: int
    record_bytes: int
    last_event: Any
    norms: dict[str, float] | None
    rewind_steps: list[int]


class DeletedSession(msgspec.Struct):
    """A session that was deleted, and at which step, where that could be read."""

    session: str
    deleted: Literal[True]
    step: int | None


def find_key(name: str, session: str) -> SessionKey:
    """Name a session of a served model."""
    check_session_id(session)
    find_model(name)
    return SessionKey(tenant(), name, session)


def find_stored_key(name: str, session: str) -> SessionKey:
    """Name a session of a served model, or one that a model left when it was unloaded.

    Raises:
        ModelNotFound: The model is not served, and there is no such session of it.
    """
    try:
        return find_key(name, session)
    except ModelNotFound as error:
        key = SessionKey(tenant(), name, session)
        if not is_key(key):
            raise
        [stored] = services().engine.sessions.load([key.encode()])
        if stored.record is None:
            raise error
        return key


def find_model_of_sessions(name: str) -> None:
    """Let a served model pass, and one of which the tenant has sessions.

    Raises:
        ModelNotFound: It is neither.
    """
    try:
        find_model(name)
    except ModelNotFound:
        first = SessionKey(tenant(), name, "")
        if not is_key(first) or not services().engine.sessions.scan(first, "", 1):
            raise


def is_key(key: SessionKey) -> bool:
    """Return whether a session can have a key: a model name in an address may be any.

    Shadows and chains of tokens are stored next to a model's sessions, under its name
    and a control character; they are not sessions of a client.
    """
    if UNUSABLE.search(key.model):
        return False
    try:
        key.encode()
    except InvalidRequest:
        return False
    return True


@blueprint.get("")
@describes(
    "sessions",
    "sessions",
    answer=SessionPage,
    errors=[InvalidRequest, ModelNotFound],
    parameters=[
        Parameter("prefix", "query", str, "What their ids begin with."),
        Parameter("after", "query", str, "The cursor the page before answered."),
        Parameter("limit", "query", int, "Most sessions of a page, 1 to 1000."),
    ],
)
def list_sessions(name: str) -> Response:
    """List the live sessions of a model, a page at a time; an unloaded one's too.

    Raises:
        InvalidRequest: `limit` is not a whole number from 1 to `MAX_PAGE`.
    """
    query = read_query("prefix", "after", "limit")
    find_model_of_sessions(name)
    limit = query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MAX_PAGE):
        raise InvalidRequest(
            f"limit is {limit[:80]!r}; expected a whole number from 1 to {MAX_PAGE}."
        )
    with Breaks():
        page = list_page(
            services().engine.sessions,
            tenant(),
            name,
            prefix=query.get("prefix", ""),
            after=query.get("after", ""),
            limit=int(limit),
        )
    return json_response({"sessions": page.sessions, "after": page.after})


@blueprint.get("/<session_id:session>")
@describes(
    "sessions", "sessions", answer=SessionState, errors=[*SESSION_ERRORS, CorruptRecord]
)
def show(name: str, session: str) -> Response:
    """Describe a session; 404 where none was ever, 410 where it is gone."""
    key = find_stored_key(name, session)
    [stored] = services().engine.sessions.load([key.encode()])
    live(key, stored)
    read_condition().check(stored)
    return answer_unless_known(answer_state(key, stored))


@blueprint.delete("/<session_id:session>")
@describes(
    "sessions",
    "sessions",
    answer=DeletedSession,
    errors=[*SESSION_ERRORS, Conflict],
    parameters=[IF_MATCH],
)
def delete(name: str, session: str) -> Response:
    """Forget a session's memory; its id answers 410 from now on."""
    key, condition = find_stored_key(name, session), read_condition()
    engine = services().engine
    record = engine.sessions.delete(key, condition.check)
    engine.shadow.drop(key.encode())
    step = record.step if record else None  # None: the record was corrupt
    return json_response({"session": session, "deleted": True, "step": step})


def answer_state(key: SessionKey, stored: StoredSession, status: int = 200) -> Response:
    """Answer the description of a live session, with its tag.

    Raises:
        TypeError: The session is not live.
    """
    record = stored.record
    if not isinstance(record, Session):
        raise TypeError(f"expected a live session, received {type(record).__name__}")
    family = services().catalog.loaded(key.model)
    served = [family[version] for version in sorted(family)]
    response = json_response(describe_session(key, record, served), status)
    response.set_etag(tag_of(stored))
    return response
