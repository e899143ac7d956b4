"""The tenant of each request, identified before its view.

`service.api.tenants` has the rule; this file finds what a route needs, in Flask's way.
"""

from __future__ import annotations

from flask import Flask, current_app, g, request

from service.api.context import services
from service.api.openapi import OPERATIONS, PAGES, Access


def init_app(app: Flask) -> None:
    """Register the hook; after the access log's, which notes refusals too."""
    app.before_request(identify)


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
