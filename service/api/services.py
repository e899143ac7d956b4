"""The parts of the service that routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.api.body_budget import BodyBudget
from service.api.tenants import Tenants
from service.engine.engine import Engine
from service.registry.catalog import Catalog
from service.registry.model_repository import Repository
from service.settings import Settings
from service.telemetry.statistics import Statistics


@dataclass(frozen=True)
class Services:
    """What the routes work with."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    tenants: Tenants
    repository: Repository | None = None
    statistics: Statistics = field(default_factory=Statistics)
    bodies: BodyBudget = field(default_factory=BodyBudget)
    is_clock_trusted: Callable[[], bool] = lambda: True
