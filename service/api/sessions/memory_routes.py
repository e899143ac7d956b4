"""`GET` and `PUT /v1/models/{model}/sessions/{id}/memory`: export and import.

An id may itself end in "/memory". Only GET is ambiguous then, and the slash decides:
`.../x/memory` is the memory of `x`, `.../x%2Fmemory` is the session `x/memory`.
"""

from __future__ import annotations

from typing import Literal

from flask import Blueprint, Response, request

from service.api.context import read_body, read_flag, read_query, services
from service.api.etags import FORM_MARK, answer_unless_known, read_condition, tag_of
from service.api.openapi import Parameter, describes
from service.api.sessions import routes
from service.errors import (
    Conflict,
    CorruptRecord,
    PreconditionRequired,
    StoreFull,
    WrongNetwork,
)
from service.sessions import changes
from service.sessions.lifecycle import live
from service.sessions.preconditions import StoredSession, wrong_network
from service.sessions.record import Session, Tombstone
from service.sessions.state_export import (
    JSON,
    SAFETENSORS,
    MemoryDocument,
    read_json,
    read_memory,
    read_safetensors,
    show_memory,
    write_json,
    write_safetensors,
)
from service.sessions.version_policy import find_maker

MEMORY = "/memory"
# WSGI hands over a decoded path; gunicorn and Werkzeug keep the one that was sent.
RAW_PATH = "RAW_URI"

blueprint = Blueprint(
    "session_memory", __name__, url_prefix="/v1/models/<model:name>/sessions"
)


@blueprint.get("/<session_id:session>/memory")
@describes(
    "sessions",
    "sessions",
    answer=MemoryDocument,
    more_answers=[SAFETENSORS],
    errors=[*routes.SESSION_ERRORS, CorruptRecord, WrongNetwork],
)
def export(name: str, session: str) -> Response:
    """Lay a session's memory open, as JSON or as a safetensors file.

    Raises:
        WrongNetwork: No version that is served has the weights that made the memory.
    """
    if is_part_of_id(request.environ.get(RAW_PATH, "")):
        return routes.show(name, session + MEMORY)
    key = routes.find_key(name, session)
    read_query()
    [stored] = services().engine.sessions.load([key.encode()])
    record = live(key, stored)
    read_condition().check(stored)
    maker = find_maker(record, services().catalog.family(services().catalog.find(name)))
    if maker is None:
        raise wrong_network(record)
    document, tag = show_memory(record, maker), tag_of(stored)
    if request.accept_mimetypes.best_match([JSON, SAFETENSORS]) == SAFETENSORS:
        response = Response(write_safetensors(document), mimetype=SAFETENSORS)
        response.set_etag(f"{tag}{FORM_MARK}safetensors")
    else:
        response = Response(write_json(document), mimetype=JSON)
        response.set_etag(tag)
    response.headers["Vary"] = "Accept"
    return answer_unless_known(response)


def is_part_of_id(raw_uri: str) -> bool:
    """Return whether an address was sent with the slash before "memory" encoded."""
    return raw_uri.partition("?")[0].lower().endswith("%2fmemory")


@blueprint.put("/<session_id:session>/memory")
@describes(
    "sessions",
    "sessions",
    body=MemoryDocument,
    answer=routes.SessionState,
    statuses=(200, 201),
    errors=[
        *routes.SESSION_ERRORS,
        Conflict,
        CorruptRecord,
        PreconditionRequired,
        StoreFull,
    ],
    parameters=[
        routes.IF_MATCH,
        Parameter("start", "query", Literal["true", "false"], "As in a row."),
    ],
)
def import_(name: str, session: str) -> Response:
    """Begin a session with a memory, or replace the memory of a live one."""
    key, condition = routes.find_key(name, session), read_condition()
    start = read_flag(read_query("start"), "start")
    catalog, settings = services().catalog, services().settings
    is_file = request.mimetype == SAFETENSORS
    document = (read_safetensors if is_file else read_json)(read_body())
    memory = read_memory(document, name, catalog.family(catalog.find(name)))
    default = settings.model_idle_seconds.get(name, settings.session_idle_seconds)
    created: list[bool] = []

    def alter(stored: StoredSession, now: float) -> Session:
        before: Session | Tombstone | None
        if isinstance(stored.record, Session):
            before = stored.record
        else:
            before = changes.claim(stored, start=start)
        condition.check_replacing(stored)
        created[:] = [not isinstance(before, Session)]
        return changes.replace(before, memory, now, default)

    engine = services().engine
    stored = engine.sessions.change(key, alter)
    engine.shadow.drop(key.encode())
    return routes.answer_state(key, stored, 201 if created[0] else 200)
