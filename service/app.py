"""The Flask application: settings to services, and the parts joined.

Knows how the parts fit together; what each call does is in `service.api`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import orjson
from flask import Flask, request
from werkzeug.routing import BaseConverter, IntegerConverter, Rule

from service.api import hooks, operations, playground, responses
from service.api.body import BodyBudget, release_body
from service.api.context import Services
from service.api.limiter import open_limiter
from service.api.sessions import change_routes, memory_routes, routes
from service.api.tenants import load_tenants
from service.api.v1 import (
    forecast,
    models,
    predict,
    spelling,
    stream_routes,
    traffic_routes,
)
from service.api.v2 import infer, input_plan, repository_routes
from service.api.v2 import models as v2_models
from service.common.runs import name_generation, open_run
from service.engine.capture import Capture, CaptureOptions
from service.engine.captured_events import has_field
from service.engine.engine import USABLE, Engine
from service.registry.artifact import ArtifactError
from service.registry.catalog import Catalog, Model, load_model
from service.registry.model_repository import Repository
from service.sessions.clock_guard import ClockGuard
from service.sessions.lifecycle import Sessions
from service.sessions.sections import AnswerBounds
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.tokens.key_file import load_or_create_keys
from service.sessions.version_policy import Lifetimes, Policies, Retention
from service.settings import Settings
from service.stores.base import Capacity
from service.stores.schemes import open_store
from service.telemetry import metrics
from service.telemetry.capture_files import CaptureBounds, CaptureFiles
from service.telemetry.statistics import CallStatistics

log = logging.getLogger(__name__)

# Bodies of the longest kind that a worker reads and works on at a time.
NUM_LARGE_BODIES = 4
# In the order of their rules in /openapi.json.
BLUEPRINTS = (
    predict.blueprint,
    stream_routes.blueprint,
    predict.not_served_blueprint,
    forecast.blueprint,
    models.blueprint,
    models.report_blueprint,
    traffic_routes.blueprint,
    routes.blueprint,
    change_routes.blueprint,
    memory_routes.blueprint,
    operations.health,
    operations.operations,
    operations.documents,
    playground.blueprint,
    infer.blueprint,
    v2_models.blueprint,
    repository_routes.blueprint,
    operations.swagger_ui,
)


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
    keys = load_or_create_keys(Path(settings.token_key_file))
    seal = TokenCipher(
        keys,
        settings.token_anti_rollback == "on",
        settings.plain_memory,
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
        capture=open_capture(settings, keys[0]),
    )
    for name in sorted(settings.policies.keys() - set(catalog.names())):
        log.warning("CARRYOVER_POLICIES names %s, which is not served", name)
    check_redacted(settings, catalog)
    tenants = load_tenants(settings.api_keys_file, clock)
    statistics = CallStatistics(open_run(state, "statistics"))
    return Services(
        settings,
        catalog,
        engine,
        tenants,
        repository,
        statistics,
        open_body_budget(settings),
        guard.is_trusted,
        open_limiter(settings),
    )


def open_body_budget(settings: Settings) -> BodyBudget:
    """Bound the bytes of large bodies that a worker reads at once."""
    return BodyBudget(
        NUM_LARGE_BODIES * settings.max_body_bytes,
        settings.request_timeout_seconds * USABLE,
        # One body's room is left to other tenants, where there are any.
        (NUM_LARGE_BODIES - bool(settings.api_keys_file)) * settings.max_body_bytes,
    )


def open_capture(settings: Settings, secret: bytes) -> Capture | None:
    """Prepare to capture events, where the settings say so."""
    if not settings.capture:
        return None
    options = CaptureOptions(
        settings.capture,
        secret,
        settings.capture_tenant == "on",
        frozenset(name.casefold() for name in list_redacted(settings)),
    )
    bounds = CaptureBounds(
        settings.capture_file_bytes,
        settings.capture_file_seconds,
        settings.capture_max_bytes,
    )
    return Capture(options, CaptureFiles(Path(settings.capture_folder), bounds))


def list_redacted(settings: Settings) -> list[str]:
    """List the fields that captured events are written without."""
    return [name.strip() for name in settings.capture_redact.split(",") if name.strip()]


def check_redacted(settings: Settings, catalog: Catalog) -> None:
    """Warn of fields to leave out that no captured model has: they may be misspelt."""
    captured = [catalog.find(n) for n in catalog.names() if n in settings.capture]
    for name in list_redacted(settings):
        if captured and not any(has_field(model, name) for model in captured):
            log.warning(
                "CARRYOVER_CAPTURE_REDACT names %s, which is no field of %s; nothing "
                "is left out for it",
                name[:80],
                ", ".join(model.manifest.name for model in captured),
            )


def read_retention(settings: Settings) -> Retention:
    """Read what sessions keep in addition to their memory."""
    answers = AnswerBounds(
        settings.stored_answers,
        settings.stored_answer_bytes,
        settings.stored_answer_seconds,
    )
    policies = Policies(settings.policy, settings.policies)
    return Retention(settings.snapshots, answers, settings.history_events, policies)


def open_repository(settings: Settings, catalog: Catalog, state: Path) -> Repository:
    """Open the repository of the settings' models."""

    def load(path: Path) -> Model:
        is_good = False
        try:
            model = load_model(path, settings.max_events, settings.runtime)
            check_descriptions(model)
            is_good = True
            return model
        finally:
            metrics.count_load(path.parent.name, is_good)

    return Repository(
        catalog,
        Path(settings.models),
        load,
        max_versions=settings.versions,
        state=state,
        generation=name_generation(),
        follows_labels=bool(settings.watch_seconds),
        count_labels=metrics.count_labels,
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


def check_descriptions(model: Model) -> None:
    """Describe a model once, so that no request is the first to find a fault.

    Raises:
        ArtifactError: Its manifest has what no answer can.
    """
    shown = [
        models.describe_model(model),
        v2_models.describe_model(model, [model.manifest.version]),
        v2_models.describe_config(model, max_rows=1, idle_seconds=1),
    ]
    try:
        orjson.dumps(shown)
    except TypeError as error:
        raise ArtifactError(
            f"the manifest cannot be shown as JSON: {error}. Export the model again."
        ) from None
    spelling.prepare_wording(model)
    input_plan.prepare_plan(model)


class Route(Rule):
    """A rule that compiles the building of its address when that is first asked for.

    No page here builds one, and for all rules it takes nearly all of `create_app`.
    """

    def _compile_builder(
        self, append_unknown: bool = True
    ) -> Callable[..., tuple[str, str]]:
        def build(rule: Route, **values: object) -> tuple[str, str]:
            function = super()._compile_builder(append_unknown)
            return function(rule, **values)

        return build


def create_app(services: Services) -> Flask:
    """Create the application around opened services."""
    app = Flask(__name__, static_folder=None)
    app.url_rule_class = Route
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
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    hooks.init_app(app)
    responses.init_app(app)
    app.teardown_request(lambda _: release_body(request.environ))
    return app
