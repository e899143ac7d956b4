"""`POST /v1/models/{model}/sessions/{id}:fork`, `:rewind` and `:touch`.

An address ends in the verb: what stands before the last colon is the id, whatever it
holds. `a:fork` is forked at `.../a:fork:fork`.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from service.api.context import read_form, services
from service.api.etags import read_condition
from service.api.openapi import describes
from service.api.sessions.routes import (
    IF_MATCH,
    SESSION_ERRORS,
    SessionState,
    answer_state,
    find_stored_key,
)
from service.errors import (
    Conflict,
    CorruptRecord,
    StoreFull,
)
from service.sessions import changes
from service.sessions.lifecycle import live
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, check_session_id
from service.sessions.state_export import Seconds, Step

blueprint = Blueprint(
    "session_changes", __name__, url_prefix="/v1/models/<model:name>/sessions"
)


class Fork(msgspec.Struct, forbid_unknown_fields=True):
    """Target of a fork: an id never used, or one that is gone and `start`."""

    to: str
    start: bool = False
    ttl_seconds: Seconds | None = None


class Rewind(msgspec.Struct, forbid_unknown_fields=True):
    """Target of a rewind: an earlier step."""

    to_step: Step


class Touch(msgspec.Struct, forbid_unknown_fields=True):
    """The idle lifetime from now on; the session's own where it is left out."""

    ttl_seconds: Seconds | None = None


@blueprint.post("/<session_id:session>:fork")
@describes(
    "sessions",
    "sessions",
    body=Fork,
    answer=SessionState,
    statuses=(201,),
    is_body_optional=False,
    errors=[*SESSION_ERRORS, Conflict, CorruptRecord, StoreFull],
    parameters=[IF_MATCH],
)
def fork(name: str, session: str) -> Response:
    """Begin another session with this one's memory."""
    key, condition, form = (
        find_stored_key(name, session),
        read_condition(),
        read_form(Fork),
    )
    check_session_id(form.to)
    sessions = services().engine.sessions
    [stored] = sessions.load([key.encode()])
    source = live(key, stored)
    condition.check(stored)

    def begin(target: StoredSession, now: float) -> Session:
        before = changes.claim(target, start=form.start)
        return changes.fork(source, before, now, form.ttl_seconds)

    target = key._replace(session=form.to)
    changed = sessions.change(target, begin)
    services().engine.shadow.drop(target.encode())
    return answer_state(target, changed, 201)


@blueprint.post("/<session_id:session>:rewind")
@describes(
    "sessions",
    "sessions",
    body=Rewind,
    answer=SessionState,
    statuses=(200,),
    is_body_optional=False,
    errors=[*SESSION_ERRORS, Conflict, CorruptRecord],
    parameters=[IF_MATCH],
)
def rewind(name: str, session: str) -> Response:
    """Put a session back to one of the memories it keeps."""
    key, condition, form = (
        find_stored_key(name, session),
        read_condition(),
        read_form(Rewind),
    )

    def alter(stored: StoredSession, now: float) -> Session:
        record = live(key, stored)
        condition.check(stored)
        return changes.rewind(record, form.to_step, now)

    engine = services().engine
    changed = engine.sessions.change(key, alter)
    engine.shadow.drop(key.encode())
    return answer_state(key, changed)


@blueprint.post("/<session_id:session>:touch")
@describes(
    "sessions",
    "sessions",
    body=Touch,
    answer=SessionState,
    statuses=(200,),
    is_body_optional=True,
    errors=[*SESSION_ERRORS, Conflict, CorruptRecord],
    parameters=[IF_MATCH],
)
def touch(name: str, session: str) -> Response:
    """Postpone a session's expiry."""
    key, condition, form = (
        find_stored_key(name, session),
        read_condition(),
        read_form(Touch),
    )

    def alter(stored: StoredSession, now: float) -> Session:
        record = live(key, stored)
        condition.check(stored)
        return changes.touch(record, now, form.ttl_seconds)

    return answer_state(key, services().engine.sessions.change(key, alter))
