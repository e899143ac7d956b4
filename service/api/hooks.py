"""Hooks around the views of Flask: addresses, tenants and their limits.

Addresses under /v1/models match in any case, as in TensorFlow Serving: one that matches
no route is looked up again in lower case; names and labels keep theirs. A slash encoded
outside of a session's id is refused: WSGI decodes an address before it is routed, so
`/v2%2frepository/index` would reach what a proxy in front of the service hides.
"""

from __future__ import annotations

import re
from functools import partial

from flask import Flask, Response, current_app, g, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, NotFound

from service.api import access_log
from service.api.context import services
from service.api.fast_path import has_encoded_slash
from service.api.openapi import OPERATIONS, PAGES, Access

ADDRESS = re.compile(
    r"(/v1/models)(/[^/:]+)?(?:(/versions|/labels)(/[^/:]+))?(/metadata|/report|:[a-z]+)?",
    re.IGNORECASE,
)
ID = "session"


def init_app(app: Flask) -> None:
    """Register the hooks, those of the access log among them, in their order."""
    app.before_request(match_any_case)
    app.before_request(refuse_encoded_slash)
    access_log.init_app(app)  # before the tenant is known: it logs refusals too
    app.before_request(identify)
    app.before_request(admit)
    app.after_request(end)


def match_any_case() -> None:
    """Route a request once more where the case may be why it matched nothing."""
    if not isinstance(request.routing_exception, NotFound):
        return
    path, adapter = lower_own_words(request.path), request_ctx.url_adapter
    if path == request.path or adapter is None:
        return
    try:
        rule, arguments = adapter.match(path, request.method, return_rule=True)
    except HTTPException as error:
        request.routing_exception = error
        return
    request.url_rule, request.view_args = rule, dict(arguments)
    request.routing_exception = None


def lower_own_words(path: str) -> str:
    """Write an address's own words in lower case."""
    found = ADDRESS.fullmatch(path)
    if found is None:
        return path
    prefix, name, kind, which, call = (part or "" for part in found.groups())
    return prefix.lower() + name + kind.lower() + which + call.lower()


def refuse_encoded_slash() -> None:
    """Answer 404 to a slash that is encoded outside of an id."""
    if has_encoded_slash(request.environ) and ID not in (request.view_args or {}):
        request.routing_exception = NotFound()


def identify() -> None:
    """Note whom the request belongs to, before anything of it is looked at.

    Raises:
        Unauthorized: It has no key, or one that is unknown or expired; of an
                unknown address too.
        Forbidden: Its key does not allow the call.
    """
    rule = request.url_rule
    access = find_access(current_app, rule.endpoint) if rule else "any"
    if access != "open":
        scope = None if access == "any" else access
        g.tenant = services().tenants.identify(request.environ, scope)
        g.is_limited = access != "admin"  # what concerns all tenants is always heard


def find_access(app: Flask, endpoint: str) -> Access:
    """Return what an endpoint needs; `admin` where its view declares nothing."""
    if endpoint.startswith(PAGES):
        return "open"
    operation = OPERATIONS.get(app.view_functions[endpoint])
    return operation.access if operation else "admin"


def admit() -> None:
    """Admit the request, unless it concerns all tenants or none.

    Raises:
        RateLimited: Its tenant has sent too many.
        TooManyAtOnce: Too many of its tenant's are under way.
    """
    limiter = services().limiter
    if limiter is not None and g.get("is_limited"):
        limiter.begin(request.environ, g.tenant)


def end(response: Response) -> Response:
    """End the request with its answer; a stream at its own end."""
    limiter = services().limiter
    if limiter is None:
        return response
    environ = request.environ
    if g.get("streaming") is None:
        response.headers.update(limiter.finish(environ))
    else:
        response.call_on_close(partial(limiter.finish, environ))
    return response
