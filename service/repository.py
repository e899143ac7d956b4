"""The model repository: models loaded and unloaded while the service runs.

One worker gets the call; all have to follow. What was asked for stands in a file, and
how often it was changed in memory that all share: each worker looks there before it
looks a model up. It stays asked for after a restart. Knows no HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from service.artifact import MANIFEST, ArtifactError, list_versions
from service.catalog import Catalog, Model
from service.errors import CarryoverError, ModelNotFound, ModelNotLoaded
from service.repository_state import Wish, Wishes

log = logging.getLogger(__name__)

LOADED, UNLOADED = "loaded", "unloaded"


class Listed(NamedTuple):
    """A version in the repository's index."""

    name: str
    version: int
    is_ready: bool
    reason: str


class Repository:
    """Loads and unloads the models of a folder.

    Args:
        catalog: What is served by this process.
        models: Folder of models.
        load: Loads a version's folder.
        max_versions: How many versions of a model are served, the newest first.
        state: Folder the workers share; None for one process.
    """

    def __init__(
        self,
        catalog: Catalog,
        models: Path,
        load: Callable[[Path], Model],
        *,
        max_versions: int = 1,
        state: Path | None = None,
    ) -> None:
        self._catalog = catalog
        self._models = models
        self._load = load
        self._max_versions = max_versions
        self._lock = threading.RLock()
        self._applied: dict[str, Wish] = {}
        self._seen = b""
        self._wishes = None if state is None else Wishes(state)
        if self._wishes is not None:
            self._start(self._wishes)

    def _start(self, wishes: Wishes) -> None:
        """Follow what was asked for before this process began."""
        self._seen = wishes.look()
        self._applied = wishes.read()
        for name, wish in self._applied.items():
            self._try(name, wish)
        self._catalog.watch = self.follow

    def follow(self) -> None:
        """Do what another worker was asked for since this one last looked."""
        wishes = self._wishes
        if wishes is None or wishes.look() == self._seen:
            return
        with self._lock:
            seen = wishes.look()
            if seen == self._seen:
                return
            for name, wish in wishes.read().items():
                if self._applied.get(name) != wish:
                    self._applied[name] = wish
                    self._try(name, wish)
            self._seen = seen

    def _try(self, name: str, wish: Wish) -> None:
        """Follow one wish; what fails here has failed, or will, where it was asked."""
        try:
            self._apply(name, wish.state)
        except CarryoverError as error:
            log.error("%s could not be %s: %s", name, wish.state, error)

    def load(self, name: str) -> None:
        """Serve the newest versions of a model, in all workers.

        Raises:
            ModelNotFound: The folder has no such model.
            ModelNotLoaded: A version's folder is damaged; what was served still is.
        """
        self._wish(name, LOADED)

    def unload(self, name: str) -> None:
        """Stop serving a model, in all workers, until it is loaded again.

        Raises:
            ModelNotFound: No such model is served or in the folder.
        """
        if not self._catalog.loaded(name) and not self._find_versions(name):
            raise no_such_model(name)
        self._wish(name, UNLOADED)

    def _wish(self, name: str, state: str) -> None:
        """Apply a wish here, then tell the other workers."""
        self.follow()
        with self._lock:
            self._apply(name, state)
            if self._wishes is not None:
                self._applied[name] = self._wishes.add(name, state)

    def _apply(self, name: str, state: str) -> None:
        if state == UNLOADED:
            self._catalog.replace(name, [])
            return
        held = self._catalog.loaded(name)
        paths = self._find_versions(name)[: self._max_versions]
        if not paths:
            raise no_such_model(name)
        try:
            # A version's folder never changes, so what is held need not be read again.
            models = [held.get(int(path.name)) or self._load(path) for path in paths]
        except ArtifactError as error:
            raise ModelNotLoaded(f"failed to load {name[:80]!r}: {error}") from error
        self._catalog.replace(name, models)

    def _find_versions(self, name: str) -> list[Path]:
        """List a model's folders, the newest version first."""
        if name not in self._list_names():  # no way out of the folder
            return []
        versions = list_versions(self._models / name)
        whole = [path for path in versions if (path / MANIFEST).is_file()]
        return sorted(whole, key=lambda path: -int(path.name))

    def _list_names(self) -> list[str]:
        if not self._models.is_dir():
            return []
        return sorted(path.name for path in self._models.iterdir())

    def index(self) -> list[Listed]:
        """List every version in the folder, and those served from elsewhere."""
        served = {n: self._catalog.versions(n) for n in self._catalog.names()}
        listed = []
        for name in sorted({*served, *self._list_names()}):
            ready = served.get(name, [])
            known = {int(path.name) for path in self._find_versions(name)}
            for version in sorted({*ready, *known}):
                is_ready = version in ready
                reason = "" if is_ready else "unloaded" if not ready else "not newest"
                listed.append(Listed(name, version, is_ready, reason))
        return listed


def no_such_model(name: str) -> ModelNotFound:
    """Return the error of a name that is in no repository."""
    return ModelNotFound(
        f"model {name[:80]!r} is not in the folder of models; export it there first.",
        error=f"failed to load '{name[:80]}', failed to poll from model repository",
    )
