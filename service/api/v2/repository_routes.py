"""Triton's model repository, and those of its extensions that are not served here."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

import msgspec
from flask import Blueprint, Response

from service.api.context import read_body, repository
from service.api.openapi import describes
from service.api.responses import json_response
from service.api.v2.schema import IndexEntry
from service.errors import InvalidJson, InvalidRequest, ModelNotFound, NotServed

Form = TypeVar("Form", bound=msgspec.Struct)

UNREADABLE = (InvalidRequest, NotServed)
INDEX = list[IndexEntry]

blueprint = Blueprint("v2_repository", __name__, url_prefix="/v2")


class IndexForm(msgspec.Struct):
    """The body of an index call: whether only what is ready is wanted."""

    ready: bool = False


class LoadForm(msgspec.Struct):
    """The body of a load or unload call."""

    parameters: dict[str, Any] = {}


@blueprint.post("/repository/index")
@describes(
    "inference",
    "any",
    body=IndexForm,
    is_body_optional=True,
    answer=INDEX,
    errors=UNREADABLE,
)
def index() -> Response:
    """List the versions in the folder of models, and which of them are served."""
    is_ready_only = read_form(IndexForm).ready
    listed = [
        {
            "name": version.name,
            "version": str(version.version),
            "state": "READY" if version.is_ready else "UNAVAILABLE",
            "reason": version.reason,
        }
        for version in repository().index()
        if version.is_ready or not is_ready_only
    ]
    return json_response(listed)


@blueprint.post("/repository/models/<model:name>/load")
@describes(
    "inference",
    "admin",
    body=LoadForm,
    is_body_optional=True,
    is_answer_empty=True,
    errors=[*UNREADABLE, ModelNotFound],
)
def load(name: str) -> Response:
    """Serve the newest version of a model, in all workers.

    Raises:
        NotServed: The request has parameters.
        ModelNotFound: The folder has no such model.
        ModelNotLoaded: A version cannot be loaded, or the choice cannot be stored.
    """
    given = sorted(read_form(LoadForm).parameters)
    if given:
        raise NotServed(
            f"load was given {', '.join(given)[:80]}; this service loads what is in "
            "its folder of models, unchanged. Export the model there first."
        )
    repository().load(name)
    return Response(b"", mimetype="application/json")


@blueprint.post("/repository/models/<model:name>/unload")
@describes(
    "inference",
    "admin",
    body=LoadForm,
    is_body_optional=True,
    is_answer_empty=True,
    errors=[*UNREADABLE, ModelNotFound],
)
def unload(name: str) -> Response:
    """Stop serving a model, in all workers, until it is loaded again."""
    read_form(LoadForm)
    repository().unload(name)
    return Response(b"", mimetype="application/json")


@blueprint.get("/trace/setting")
@blueprint.get("/models/<model:name>/trace/setting")
@describes("inference", "any", errors=[NotServed])
def trace_setting(name: str = "") -> NoReturn:
    """Refuse Triton's trace settings: requests are logged one line each.

    Raises:
        NotServed: Always.
    """
    raise not_served("trace settings", "The log has one line for each request.")


@blueprint.post("/trace/setting")
@blueprint.post("/models/<model:name>/trace/setting")
@describes("inference", "admin", errors=[NotServed])
def set_trace_setting(name: str = "") -> NoReturn:
    """Refuse Triton's trace settings: requests are logged one line each.

    Raises:
        NotServed: Always.
    """
    raise not_served("trace settings", "The log has one line for each request.")


@blueprint.get("/logging")
@describes("inference", "any", errors=[NotServed])
def log_setting() -> NoReturn:
    """Refuse Triton's log settings: the log has a setting of the service.

    Raises:
        NotServed: Always.
    """
    raise not_served("log settings", "Start the service with CARRYOVER_LOG_LEVEL.")


@blueprint.post("/logging")
@describes("inference", "admin", errors=[NotServed])
def set_log_setting() -> NoReturn:
    """Refuse Triton's log settings: the log has a setting of the service.

    Raises:
        NotServed: Always.
    """
    raise not_served("log settings", "Start the service with CARRYOVER_LOG_LEVEL.")


def not_served(what: str, fix: str) -> NotServed:
    """Return the error of an extension that is left out."""
    return NotServed(f"this service does not have Triton's {what}. {fix}")


def read_form(form: type[Form]) -> Form:
    """Read a body that may be empty.

    Raises:
        InvalidRequest: It does not have the right form.
        InvalidJson: It is not JSON.
    """
    data = read_body()
    if not data.strip():
        return form()
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.ValidationError as error:
        text = str(error).replace("`", "'")
        raise InvalidRequest(
            f"the body does not have the right form: {text}."
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidJson(f"the body is not JSON ({error}); expected {{}}.") from None
