"""The parts of the service that routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from service.api.body_budget import BodyBudget
from service.api.limiter import Limiter
from service.api.tenants import Tenants
from service.engine.engine import Engine
from service.registry.catalog import Catalog, Model
from service.registry.model_repository import Repository
from service.registry.version_labels import find_version
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
    limiter: Limiter | None = None

    def find_model(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Model:
        """Find a served model, by its version or version label if one is given.

        Raises:
            ModelNotFound: No such model is served.
            VersionNotFound: The model is served, but not in this version.
            UnknownLabel: It has no such version label.
        """
        if label is not None:
            version = self._find_labelled(name, label)
        return self.catalog.find(name, version)

    def _find_labelled(self, name: str, label: str) -> int:
        self.catalog.versions(name)  # only a served model has a folder to look into
        if directed := self.catalog.traffic(name).version_labels().get(label):
            return directed
        if self.repository is not None and self.repository.follows_labels:
            return self.repository.find_labelled(name, label)
        return find_version(Path(self.settings.models), name, label)
