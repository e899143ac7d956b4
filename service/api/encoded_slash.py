"""Refusal of encoded slashes outside of a session's id.

WSGI decodes an address before it is routed, so `/v2%2frepository/index` would reach
what a proxy in front keeps from its clients by `/v2/repository/`.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from werkzeug.exceptions import NotFound

ID = "session"


def init_app(app: Flask) -> None:
    """Register the hook."""
    app.before_request(refuse_encoded_slash)


def refuse_encoded_slash() -> None:
    """Answer 404 to a slash that is encoded outside of an id."""
    if has_encoded_slash(request.environ) and ID not in (request.view_args or {}):
        request.routing_exception = NotFound()


def has_encoded_slash(environ: dict[str, Any]) -> bool:
    """Return whether the path was sent with an encoded slash."""
    uri = environ.get("RAW_URI", "")
    return "%" in uri and "%2f" in uri.partition("?")[0].lower()
