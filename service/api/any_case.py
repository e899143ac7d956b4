"""Addresses under /v1/models in any case, as TensorFlow Serving takes them.

Only an address that matches no route is looked at again, in lower case; names, labels
and what follows them stay as they are.
"""

from __future__ import annotations

import re

from flask import Flask, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, NotFound

ADDRESS = re.compile(
    r"(/v1/models)(/[^/:]+)?(?:(/versions|/labels)(/[^/:]+))?(/metadata|/report|:[a-z]+)?",
    re.IGNORECASE,
)


def init_app(app: Flask) -> None:
    """Register the hook."""
    app.before_request(match_any_case)


def match_any_case() -> None:
    """Route a request once more where the case may be why it matched nothing."""
    if not isinstance(request.routing_exception, NotFound):
        return
    path, adapter = lower(request.path), request_ctx.url_adapter
    if path == request.path or adapter is None:
        return
    try:
        rule, arguments = adapter.match(path, request.method, return_rule=True)
    except HTTPException as error:
        request.routing_exception = error
        return
    request.url_rule, request.view_args = rule, dict(arguments)
    request.routing_exception = None


def lower(path: str) -> str:
    """Write an address's own words in lower case."""
    found = ADDRESS.fullmatch(path)
    if found is None:
        return path
    prefix, name, kind, which, call = (part or "" for part in found.groups())
    return prefix.lower() + name + kind.lower() + which + call.lower()
