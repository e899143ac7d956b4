"""The tenant of each request, identified before its view.

`service.tenants` has the rule; this file only asks it in Flask's way.
"""

from __future__ import annotations

from flask import Flask, g, request

from service.current import services
from service.tenants import is_open


def init_app(app: Flask) -> None:
    """Register the hook; after the access log's, which notes refusals too."""
    app.before_request(identify)


def identify() -> None:
    """Note whom the request belongs to, before anything of it is looked at.

    Raises:
        Unauthorized: It has no key, or an unknown one; of an unknown address too.
    """
    if not is_open(request.path):
        g.tenant = services().tenants.identify(request.environ)
