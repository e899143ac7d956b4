"""Limits of tenants on the calls that Flask answers, by `service.api.limiter`."""

from __future__ import annotations

from functools import partial

from flask import Flask, Response, g, request

from service.api.context import services


def init_app(app: Flask) -> None:
    """Register the hooks; after those that identify the tenant."""
    app.before_request(begin)
    app.after_request(finish)


def begin() -> None:
    """Admit the request, unless it concerns all tenants or none.

    Raises:
        RateLimited: Its tenant has sent too many.
        TooManyAtOnce: Too many of its tenant's are under way.
    """
    limiter = services().limiter
    if limiter is not None and g.get("is_limited"):
        limiter.begin(request.environ, g.tenant)


def finish(response: Response) -> Response:
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
