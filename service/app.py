"""The Flask application: settings to services, and the parts joined.

Knows how the parts fit together; each call's own work is in `service.views`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from flask import Flask, request
from werkzeug.routing import BaseConverter, IntegerConverter

from service import access_log, any_case, authentication, error_pages
from service.body import release_body
from service.body_budget import BodyBudget
from service.catalog import Catalog, Model, load_model
from service.dialects.descriptions import check_descriptions
from service.engine import Engine
from service.entry import USABLE
from service.memory.answers import Bounds
from service.memory.clock_guard import ClockGuard
from service.memory.key_file import load_or_create_keys
from service.memory.seal import Plain, Seal
from service.memory.sessions import Sessions
from service.memory.store import Capacity, open_store
from service.migration import Policies, Policy
from service.repository import Repository
from service.retention import Lifetimes, Retention
from service.runs import name_generation, open_run
from service.settings import Settings
from service.statistics import Statistics
from service.tenants import Tenants, load_tenants
from service.views import (
    classify,
    documents,
    forecast,
    health,
    models,
    operations,
    playground,
    predict,
    session_changes,
    session_memory,
    sessions,
    stream,
    v2,
    v2_models,
    v2_repository,
)

log = logging.getLogger(__name__)

# Bodies of the longest kind that a worker reads and works on at a time.
NUM_LARGE_BODIES = 4


@dataclass(frozen=True)
class Services:
    """What the views work with."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    tenants: Tenants
    repository: Repository | None = None
    statistics: Statistics = field(default_factory=Statistics)
    bodies: BodyBudget = field(default_factory=BodyBudget)
    is_clock_trusted: Callable[[], bool] = lambda: True


def build_services(
    settings: Settings, *, clock: Callable[[], float] = time.time
) -> Services:
    """Open the store, load the key and the models.

    Raises:
        ValueError: The memory's address or the key file cannot be used.
    """
    capacity = Capacity(settings.max_sessions, settings.max_memory_bytes)
    state = Path(settings.state)
    store = open_store(settings.memory, capacity, state)
    lifetimes = Lifetimes(
        settings.session_idle_seconds,
        settings.token_seconds,
        settings.model_idle_seconds,
    )
    memory = Sessions(store, clock=clock, tombstone_seconds=settings.tombstone_seconds)
    seal = Seal(
        load_or_create_keys(Path(settings.token_key_file)),
        settings.token_anti_rollback == "on",
        cast("Plain", settings.plain_memory),
    )
    catalog = Catalog([])
    repository = open_repository(settings, catalog, state)
    guard = ClockGuard(state / "clock.json", wall=clock)
    engine = Engine(
        memory,
        seal,
        lifetimes,
        clock,
        read_retention(settings),
        catalog,
        max_queued_rows=settings.max_queued_rows,
        is_clock_trusted=guard.is_trusted,
    )
    for name in sorted(settings.policies.keys() - set(catalog.names())):
        log.warning("CARRYOVER_POLICIES names %s, which is not served", name)
    tenants = load_tenants(settings.api_keys_file, clock)
    statistics = Statistics(open_run(state, "statistics"))
    bodies = BodyBudget(
        NUM_LARGE_BODIES * settings.max_body_bytes,
        settings.request_timeout_seconds * USABLE,
        # One body's room is left to other tenants, where there are any.
        (NUM_LARGE_BODIES - bool(settings.api_keys_file)) * settings.max_body_bytes,
    )
    return Services(
        settings,
        catalog,
        engine,
        tenants,
        repository,
        statistics,
        bodies,
        guard.is_trusted,
    )


def read_retention(settings: Settings) -> Retention:
    """Read what sessions keep beside their memory."""
    answers = Bounds(
        settings.stored_answers,
        settings.stored_answer_bytes,
        settings.stored_answer_seconds,
    )
    policies = Policies(
        cast("Policy", settings.policy), cast("dict[str, Policy]", settings.policies)
    )
    return Retention(settings.snapshots, answers, settings.history_events, policies)


def open_repository(settings: Settings, catalog: Catalog, state: Path) -> Repository:
    """Open the repository of the settings' models."""

    def load(path: Path) -> Model:
        model = load_model(path, settings.max_events, settings.runtime)
        check_descriptions(model)
        return model

    return Repository(
        catalog,
        Path(settings.models),
        load,
        max_versions=settings.versions,
        state=state,
        generation=name_generation(),
    )


class ModelName(BaseConverter):
    """A model's name in an address: no slash, and no colon, which begins the verb."""

    regex = "[^/:]+"


class Version(IntegerConverter):
    """A version's number in an address; 0 is the default one, as OpenVINO has it."""

    def to_python(self, value: str) -> int | None:
        """Return the version, or None for the default one."""
        return super().to_python(value) or None


class VersionLabel(BaseConverter):
    """A version label in an address: as a model's name."""

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
    app.url_map.converters |= {
        "model": ModelName,
        "version": Version,
        "label": VersionLabel,
        "session_id": SessionId,
    }
    views = (
        predict,
        stream,
        classify,
        forecast,
        models,
        sessions,
        session_changes,
        session_memory,
        health,
        operations,
        documents,
        playground,
    )
    for view in (*views, v2, v2_models, v2_repository):
        app.register_blueprint(view.blueprint)
    app.register_blueprint(documents.swagger_ui)
    any_case.init_app(app)
    error_pages.init_app(app)
    access_log.init_app(app)
    authentication.init_app(app)
    app.teardown_request(lambda _: release_body(request.environ))
    return app
