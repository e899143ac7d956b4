"""`GET` and `DELETE /v1/models/{model}/sessions/{id}`: memory as a resource."""

from __future__ import annotations

from flask import Blueprint, Response

from service.current import find_model, services, tenant
from service.memory.sessions import SessionKey, check_session_id
from service.problems import json_response
from service.times import format_time

blueprint = Blueprint(
    "sessions", __name__, url_prefix="/v1/models/<model:name>/sessions"
)


def find_key(name: str, session: str) -> SessionKey:
    """Name a session of a served model."""
    check_session_id(session)
    find_model(name)
    return SessionKey(tenant(), name, session)


@blueprint.get("/<session_id:session>")
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
def delete(name: str, session: str) -> Response:
    """Forget a session's memory; its id answers 410 from now on."""
    record = services().engine.sessions.delete(find_key(name, session))
    step = record.step if record else None  # None: the record was corrupt
    return json_response({"session": session, "deleted": True, "step": step})
