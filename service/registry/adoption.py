"""Adoption of what the folder of models offers: at the start, and by the watch.

A version is checked and loaded before it is chosen for all workers. Labels are adopted
whole, once each of them stands for a version that can be served; else the old ones
stay. What was refused is tried again when its files change.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from service.errors import UnknownLabel
from service.registry.artifact import find_versions
from service.registry.catalog import Catalog, Model
from service.registry.model_folder import LABELS_FILE, ModelFolder, decode_labels
from service.registry.shared_choices import (
    LOADED,
    UNLOADED,
    Choices,
    ModelChoice,
    VersionLabels,
)

log = logging.getLogger(__name__)

# Services that share one state; a worker of each follows what its start chose.
MAX_GENERATIONS = 8
# The files of a version: name, size, and time of the last change.
Look = frozenset[tuple[str, int, int]]
log = logging.getLogger(__name__)


class Offer(NamedTuple):
    """New versions and labels in the folder of a model.

    Attributes:
        looks: Versions beyond the newest chosen one, as their files are now.
        version_labels: What its labels file says, and why it cannot be read.
    """

    looks: Mapping[int, Look]
    version_labels: VersionLabels


class Chooser(Protocol):
    """Repository, as adoption uses it; `model_repository.Repository` describes it."""

    follows_labels: bool

    def open_newest(
        self,
        name: str,
        versions: list[int],
        kept: Collection[int] = (),
        ready: Mapping[int, Model] | None = None,
    ) -> tuple[dict[int, Model], dict[int, str]]:
        """Open as many versions as may be served."""

    def find_choice(self, name: str) -> ModelChoice:
        """Return what is chosen of a model."""

    def share(
        self,
        name: str,
        state: str,
        versions: list[int],
        failures: dict[int, str] | None = None,
        labels: VersionLabels | None = None,
    ) -> None:
        """Store a choice for all workers."""

    def note_failures(self, name: str, failures: dict[int, str]) -> None:
        """Note why versions of a model are not served."""

    def adopt_newer(self) -> None:
        """Adopt what is new in the folder."""


class Adoption:
    """Adoption of new versions and labels, for all workers.

    Args:
        repository: Opens versions, and stores what is chosen.
        folder: The folder of models.
        catalog: What is served by this process.
        count_labels: Counts labels of a model that were adopted, or refused.
    """

    def __init__(
        self,
        repository: Chooser,
        folder: ModelFolder,
        catalog: Catalog,
        count_labels: Callable[[str, bool], None],
    ) -> None:
        self._repository = repository
        self._folder = folder
        self._catalog = catalog
        self._count_labels = count_labels
        # Versions that could not be loaded, and labels files that were read.
        self._refused: dict[Path, Look] = {}
        self._tried: dict[str, tuple[VersionLabels, list[Look]]] = {}

    def choose_all(self, generation: str, before: Choices) -> Choices:
        """Choose the newest versions of every model that is not unloaded."""
        models = dict(before.models)
        for paths in find_versions(self._folder.path):
            name = paths[0].parent.name
            earlier = models.get(name, ModelChoice(LOADED, 0))
            if earlier.state != UNLOADED:
                models[name] = self._choose(paths, earlier)
        generations = [generation, *before.generations][:MAX_GENERATIONS]
        return Choices(generations, models)

    def _choose(self, paths: list[Path], earlier: ModelChoice) -> ModelChoice:
        """Choose the newest versions of a model that can be loaded.

        An earlier choice that cannot be opened here stays chosen: other processes may
        serve it.
        """
        name = paths[0].parent.name
        versions = [int(path.name) for path in paths]
        good, failures = self._repository.open_newest(
            name, versions, earlier.kept_versions()
        )
        for version, reason in failures.items():
            log.error("skipped %s version %d: %s", name, version, reason)
        self._catalog.replace(name, good.values())
        kept = {v: failures.pop(v) for v in earlier.versions if v in failures}
        # Tried again.
        self._repository.note_failures(name, kept or ({} if good else failures))
        versions = sorted([*good, *kept], reverse=True)
        number = earlier.number + 1
        return replace(
            earlier, state=LOADED, number=number, versions=versions, failures=failures
        )

    def adopt(self, name: str) -> None:
        """Serve what is new of a model that is not unloaded.

        Raises:
            ModelNotLoaded: The choice cannot be stored; what is served stays.
        """
        chosen = self._repository.find_choice(name)
        paths = {int(path.name): path for path in self._folder.find_versions(name)}
        offer = self._find_offer(name, paths, chosen)
        if chosen.state == UNLOADED or offer is None:
            return
        labels, ready, failed = self._try_labels(name, offer.version_labels, chosen)
        served = self._catalog.loaded(name)
        wanted = {*offer.looks, *served, *chosen.versions, *ready}
        good, failures = self._repository.open_newest(
            name,
            sorted(wanted - failed.keys(), reverse=True),
            {*labels.versions.values(), *chosen.traffic.versions()},
            ready,
        )
        failures |= {v: failed[v] for v in wanted & failed.keys()}
        for version in offer.looks.keys() & failures.keys():
            self._refused[paths[version]] = offer.looks[version]
            log.error("refused %s version %d: %s", name, version, failures[version])
        # One that was chosen stays chosen: other processes may serve it.
        kept = [v for v in chosen.versions if failures.pop(v, None)]
        adopted = sorted({*good, *kept}, reverse=True), failures, labels
        if adopted == (chosen.versions, chosen.failures, chosen.version_labels):
            return
        self._repository.share(name, LOADED, *adopted)
        if good:
            self._catalog.replace(name, good.values())
            log.info("serves %s in versions %s", name, sorted(good))
        self._report_labels(name, labels, chosen.version_labels)

    def _find_offer(
        self, name: str, paths: Mapping[int, Path], chosen: ModelChoice
    ) -> Offer | None:
        """Return what is new in a model's folder, or None for nothing."""
        newest = max(chosen.versions, default=0)
        labels = read_offered(self._folder.path / name)
        newer = {v: path for v, path in paths.items() if v > newest}
        looks = {version: describe_files(path) for version, path in newer.items()}
        older = (paths.keys() & labels.versions.values()) - {*chosen.versions, *newer}
        tried = labels, [describe_files(paths[version]) for version in sorted(older)]
        is_changed = labels != chosen.version_labels and tried != self._tried.get(name)
        if not is_changed and all(
            self._refused.get(newer[version]) == look for version, look in looks.items()
        ):
            return None
        self._tried[name] = tried
        return Offer(looks, labels)

    def _try_labels(
        self, name: str, offered: VersionLabels, chosen: ModelChoice
    ) -> tuple[VersionLabels, dict[int, Model], dict[int, str]]:
        """Open the versions that labels stand for; take the labels, or keep the old.

        Returns:
            The labels, the versions that were opened, and why others cannot be.
        """
        if not self._repository.follows_labels:
            return chosen.version_labels, {}, {}
        versions = {
            *offered.versions.values(),
            *chosen.version_labels.versions.values(),
        }
        ready, failed = self._repository.open_newest(name, sorted(versions), versions)
        return settle_labels(name, offered, chosen.version_labels, ready), ready, failed

    def _report_labels(
        self, name: str, labels: VersionLabels, before: VersionLabels
    ) -> None:
        """Log and count a change of labels, or its refusal."""
        if labels == before:
            return
        if labels.failure:
            log.error("%s The labels of before stay.", labels.failure)
        else:
            log.info("labels of %s are %s", name, labels.versions)
        self._count_labels(name, not labels.failure)


def read_offered(folder: Path) -> VersionLabels:
    """Read the labels file of a model, or why it cannot be read."""
    try:
        return VersionLabels(decode_labels(folder / LABELS_FILE))
    except UnknownLabel as error:
        return VersionLabels({}, str(error))


def settle_labels(
    name: str, offered: VersionLabels, chosen: VersionLabels, served: Collection[int]
) -> VersionLabels:
    """Take the offered labels whole, or keep the chosen ones and say why.

    Args:
        name: The model.
        offered: What its labels file says.
        chosen: Those that are chosen.
        served: Versions that can be served.
    """
    if offered.failure:
        return VersionLabels(chosen.versions, offered.failure)
    for label, version in offered.versions.items():
        if version not in served:
            reason = (
                f"label {label[:80]!r} of {name!r} is version {version}; expected a "
                f"version that can be served. Publish it, or set another in "
                f"{LABELS_FILE}."
            )
            return VersionLabels(chosen.versions, reason)
    return offered


def describe_files(folder: Path) -> Look:
    """Describe the files of a version, so that a repair is noticed."""
    look = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it is being copied, or removed
            status = path.stat()
            look.add((str(path), status.st_size, status.st_mtime_ns))
    return frozenset(look)


class FolderWatch(threading.Thread):
    """Looks for new versions now and then.

    Args:
        repository: Where they are, and who serves them.
        seconds: How long it waits between two looks.
        wait: Waits some seconds and returns whether to stop; by default it never does,
            and the thread ends with the process.
    """

    def __init__(
        self,
        repository: Chooser,
        seconds: float,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(name="folder-watch", daemon=True)
        self._repository = repository
        self._seconds = seconds
        self._wait = wait or threading.Event().wait

    def run(self) -> None:
        """Look now and then; a look that fails is logged, and the next one comes."""
        while not self._wait(self._seconds):
            try:
                self._repository.adopt_newer()
            except Exception:
                log.exception("cannot look for new versions; next in a while")
