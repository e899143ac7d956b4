"""TensorFlow Serving's and OpenVINO Model Server's own words for errors.

Clients may match on them: they stand in `error`, where `detail` has the service's.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.api.v1.schema import Request
from service.engine.rows import Result
from service.errors import SessionGone, SessionLive

# OpenVINO Model Server's, for rows that came with a `sequence_id`.
SEQUENCE_TEXTS = {
    SessionLive: "Sequence with provided ID already exists",
    SessionGone: "Sequence with provided ID does not exist",
}


def servable_not_found(name: str, version: int | None) -> str:
    """Say what TensorFlow Serving says when a prediction finds no model."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return f"Servable not found for request: {asked}"


def no_versions(name: str, version: int | None) -> str:
    """Say what TensorFlow Serving says when a status or metadata finds no model."""
    if version is None:
        return f"Could not find any versions of model {name}"
    return f"Could not find version {version} of model {name}"


def malformed_request(method: str, path: str) -> str:
    """Say what TensorFlow Serving says to an address it does not know."""
    return f"Malformed request: {method} {path}"


def reword(request: Request, results: Sequence[Result]) -> None:
    """Say in OpenVINO Model Server's words why a sequence cannot continue."""
    for parsed, result in zip(request.rows, results, strict=True):
        if parsed.sequence_id is not None and isinstance(
            result, SessionLive | SessionGone
        ):
            result.members["error"] = SEQUENCE_TEXTS[type(result)]
