"""What the current request works with: the services, and the model it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, g

from service.errors import NotServed

if TYPE_CHECKING:
    from service.app import Services
    from service.catalog import Model
    from service.repository import Repository


def services() -> Services:
    """Return the current application's services."""
    return cast("Services", current_app.extensions["carryover"])


def find_model(name: str, version: int | None = None) -> Model:
    """Find a served model, and note it for the log.

    Raises:
        ModelNotFound: No such model is served.
        VersionNotFound: The model is served, but not in this version.
    """
    g.model = services().catalog.find(name, version)
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
