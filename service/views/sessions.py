"""`GET` and `DELETE /v1/models/{model}/sessions/{id}`: memory as a resource."""

from __future__ import annotations

from typing import Literal

import msgspec
from flask import Blueprint, Response

from service.current import find_model, services
from service.errors import (
    CorruptRecord,
    InvalidRequest,
    ModelNotFound,
    SessionGone,
    SessionNotFound,
)
from service.memory.sessions import SessionKey, check_session_id
from service.openapi import describes
from service.problems import json_response
from service.times import format_time

blueprint = Blueprint(
    "sessions", __name__, url_prefix="/v1/models/<model:name>/sessions"
)


MISSING = (InvalidRequest, ModelNotFound, SessionNotFound, SessionGone)


class SessionState(msgspec.Struct):
    """Where a session is."""

    session: str
    model: str
    model_version: str
    step: int
    created_at: str
    updated_at: str
    expires_at: str
    memory_bytes: int


class DeletedSession(msgspec.Struct):
    """A session that was deleted, and at which step, where that could be read."""

    session: str
    deleted: Literal[True]
    step: int | None


def find_key(name: str, session: str) -> SessionKey:
    """Name a session of a served model."""
    check_session_id(session)
    find_model(name)
    return SessionKey("", name, session)


@blueprint.get("/<session_id:session>")
@describes("sessions", answer=SessionState, errors=[*MISSING, CorruptRecord])
def show(name: str, session: str) -> Response:
    """Tell where a session is; 404 where none was ever, 410 where it is gone."""
    record = services().engine.sessions.get(find_key(name, session))
    return json_response(
        {
            "session": session,
            "model": name,
            "model_version": str(record.model_version),
            "step": record.step,
            "created_at": format_time(record.created_at),
            "updated_at": format_time(record.updated_at),
            "expires_at": format_time(record.expires_at),
            "memory_bytes": len(record.tensors),
        }
    )


@blueprint.delete("/<session_id:session>")
@describes("sessions", answer=DeletedSession, errors=MISSING)
def delete(name: str, session: str) -> Response:
    """Forget a session's memory; its id answers 410 from now on."""
    record = services().engine.sessions.delete(find_key(name, session))
    step = record.step if record else None  # None: the record was corrupt
    return json_response({"session": session, "deleted": True, "step": step})
