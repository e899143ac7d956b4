"""What the current request works with: the services, and the model it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, g

if TYPE_CHECKING:
    from service.app import Services
    from service.catalog import Model


def services() -> Services:
    """Return the current application's services."""
    return cast("Services", current_app.extensions["carryover"])


def tenant() -> str:
    """Return whom the current request belongs to."""
    return cast("str", g.tenant)


def find_model(name: str, version: int | None = None) -> Model:
    """Find a served model, and note it for the log.

    Raises:
        ModelNotFound: No such model is served.
        VersionNotFound: The model is served, but not in this version.
    """
    g.model = services().catalog.find(name, version)
    return cast("Model", g.model)
