"""What the current request works with: the services, and the model it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, g, request

from service.api import body
from service.engine.call import Timings
from service.errors import NotServed
from service.telemetry import tracing

if TYPE_CHECKING:
    from service.api.services import Services
    from service.registry.catalog import Model
    from service.registry.model_repository import Repository


def services() -> Services:
    """Return the current application's services."""
    return cast("Services", current_app.extensions["carryover"])


def tenant() -> str:
    """Return whom the current request belongs to."""
    return cast("str", g.tenant)


def find_model(
    name: str, version: int | None = None, label: str | None = None
) -> Model:
    """Find a served model, and note it for the log.

    Raises:
        ModelNotFound: No such model is served.
        VersionNotFound: The model is served, but not in this version.
        UnknownLabel: It has no such version label.
    """
    g.model = services().find_model(name, version, label)
    return cast("Model", g.model)


def repository() -> Repository:
    """Return the model repository.

    Raises:
        NotServed: The application was made without one.
    """
    opened = services().repository
    if opened is None:
        raise NotServed("this service was started without a model repository.")
    return opened


def read_body() -> bytes:
    """Read the request's body, whole or not at all; see `service.api.body`."""
    here = services()
    most = here.settings.max_body_bytes
    return body.read_body(request.environ, most, here.bodies, tenant())


def measure() -> Timings | None:
    """Have the engine measure what the current request's time is spent on, if asked."""
    g.timings = None if tracing.running is None else Timings()
    return cast("Timings | None", g.timings)
