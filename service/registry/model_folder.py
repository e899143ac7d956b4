"""The folder of models: which versions are in it, and why a folder is not a version.

It does not know which of them are served.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from service.common.loop import offload
from service.errors import ModelNotFound
from service.registry.artifact import (
    MANIFEST,
    ArtifactError,
    list_unfinished,
    list_versions,
)
from service.registry.catalog import Catalog, Model

log = logging.getLogger(__name__)

UNFINISHED = (
    f"has no {MANIFEST}. Wait until it is copied whole, or export it with `python -m "
    "training export`."
)


class ListedVersion(NamedTuple):
    """A version in the repository's index."""

    name: str
    version: int
    is_ready: bool
    reason: str


class ModelFolder:
    """The versions of models in a folder.

    Args:
        path: The folder.
        load: Loads a version's folder.
    """

    def __init__(self, path: Path, load: Callable[[Path], Model]) -> None:
        self.path = path
        self._load = load
        self._traced: set[Path] = set()

    def names(self) -> list[str]:
        """List the names in the folder, of models or not."""
        with contextlib.suppress(OSError):
            return sorted(path.name for path in self.path.iterdir())
        return []

    def find_versions(self, name: str) -> list[Path]:
        """List a model's folders, the newest version first."""
        if name not in self.names():  # no way out of the folder
            return []
        return list_versions(self.path / name)

    def find_unfinished(self, name: str) -> dict[int, str]:
        """Say of each folder that looks like a version why it is not one."""
        if name not in self.names():  # no way out of the folder
            return {}
        unfinished = list_unfinished(self.path / name)
        return {int(path.name): UNFINISHED for path in unfinished}

    def open_newest(
        self,
        name: str,
        versions: list[int],
        kept: Collection[int],
        loaded: Mapping[int, Model],
        *,
        limit: int,
    ) -> tuple[dict[int, Model], dict[int, str]]:
        """Open as many versions as may be served, and say why others cannot be.

        Args:
            name: Of the model.
            versions: The newest first.
            kept: Those of them that are served even if they are not the newest.
            loaded: Versions that were opened before.
            limit: How many are served.
        """
        opened: dict[int, Model] = {}
        failures: dict[int, str] = {}
        for version in versions:
            if len(opened) >= limit and version not in kept:
                continue
            try:
                opened[version] = loaded.get(version) or self._open(name, version)
            except ArtifactError as error:
                failures[version] = str(error)
        return opened, failures

    def _open(self, name: str, version: int) -> Model:
        """Load a version where that holds up no other request."""
        if name not in self.names():  # no way out of the folder
            raise ArtifactError(f"{name[:80]!r} is not in the folder of models.")
        return offload(self._load_checked, self.path / name / str(version))

    def _load_checked(self, path: Path) -> Model:
        """Load a version; whatever goes wrong is the version's fault.

        Raises:
            ArtifactError: It cannot be loaded.
        """
        try:
            model = self._load(path)
        except ArtifactError:
            raise
        except Exception as error:
            if path not in self._traced:  # it is tried again and again
                log.exception("%s cannot be loaded", path)
            self._traced.add(path)
            raise ArtifactError(f"{path} cannot be loaded: {error!r}.") from error
        self._traced.discard(path)
        return model


def no_such_model(name: str) -> ModelNotFound:
    """Return the error of a name that is in no repository."""
    return ModelNotFound(
        f"model {name[:80]!r} is not in the folder of models; export it there first.",
        error=f"failed to load '{name[:80]}', failed to poll from model repository",
    )


def list_index(
    folder: ModelFolder, catalog: Catalog, explain: Callable[[str], dict[int, str]]
) -> list[ListedVersion]:
    """List every version in the folder, and those served from elsewhere.

    Args:
        folder: The folder.
        catalog: What is served.
        explain: Says why versions of a model are not served, as far as they were tried.
    """
    served = {n: catalog.versions(n) for n in catalog.names()}
    listed = []
    for name in sorted({*served, *folder.names()}):
        ready = served.get(name, [])
        known = {int(path.name) for path in folder.find_versions(name)}
        failures = explain(name)
        for version in sorted({*ready, *known, *failures}):
            is_ready = version in ready
            reason = "not newest" if ready else "unloaded"
            reason = "" if is_ready else failures.get(version, reason)
            listed.append(ListedVersion(name, version, is_ready, reason))
    return listed
