"""The Flask application: settings to services, and the parts joined.

Knows how the parts fit together; each call's own work is in `service.views`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from werkzeug.routing import BaseConverter

from service import access_log, error_pages
from service.catalog import Catalog, load_catalog
from service.engine import Engine
from service.memory.seal import Seal, load_or_create_key
from service.memory.sessions import Sessions
from service.memory.store import Capacity, open_store
from service.settings import Settings
from service.transition import Lifetimes
from service.views import health, models, predict, sessions


@dataclass(frozen=True)
class Services:
    """What the views work with."""

    settings: Settings
    catalog: Catalog
    engine: Engine


def build_services(
    settings: Settings, *, clock: Callable[[], float] = time.time
) -> Services:
    """Open the store, load the key and the models.

    Raises:
        ValueError: The memory's address or the key file cannot be used.
        service.artifact.ArtifactError: A model's folder is damaged.
    """
    capacity = Capacity(settings.max_sessions, settings.max_memory_bytes)
    store = open_store(settings.memory, capacity)
    seal = Seal([load_or_create_key(Path(settings.token_key_file))])
    lifetimes = Lifetimes(settings.session_idle_seconds, settings.token_seconds)
    memory = Sessions(store, clock=clock, tombstone_seconds=settings.tombstone_seconds)
    catalog = load_catalog(
        Path(settings.models),
        max_events=settings.max_events,
        runtime=settings.runtime,
    )
    engine = Engine(
        memory, seal, lifetimes, clock, max_queued_rows=settings.max_queued_rows
    )
    return Services(settings, catalog, engine)


class ModelName(BaseConverter):
    """A model's name in an address: no slash, and no colon, which begins the verb."""

    regex = "[^/:]+"


class SessionId(BaseConverter):
    """A session's id in an address: anything, slashes too."""

    regex = "(?s:.+)"
    part_isolating = False


def create_app(services: Services) -> Flask:
    """Create the application around opened services."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.extensions["carryover"] = services
    # A session's id may begin with, end with or hold slashes, and each is another id.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters |= {"model": ModelName, "session_id": SessionId}
    for view in (predict, models, sessions, health):
        app.register_blueprint(view.blueprint)
    error_pages.init_app(app)
    access_log.init_app(app)
    return app
