"""The model repository: models loaded and unloaded while the service runs.

One worker gets the call; all have to follow. The versions that were chosen are in a
shared file, which each worker compares with what it serves before it looks a model up.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from service.common.loop import offload
from service.errors import ModelNotLoaded
from service.registry.adoption import Adoption
from service.registry.catalog import Catalog, Model
from service.registry.model_folder import (
    UNFINISHED,
    ListedVersion,
    ModelFolder,
    choose_version,
    list_index,
    no_such_model,
)
from service.registry.shared_choices import (
    LOADED,
    UNLOADED,
    Choices,
    ModelChoice,
    SharedChoices,
    VersionLabels,
)

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0  # a folder may be repaired, or a disk come back


class Repository:
    """Loads and unloads the models of a folder.

    Args:
        catalog: What is served by this process.
        models: Folder of models.
        load: Loads a version's folder.
        max_versions: How many versions of a model are served, the newest first.
        state: Folder the workers share; None for one process.
        generation: Names this start: its first worker chooses, the others follow.
        follows_labels: Whether a watch adopts version labels for all workers.
        count_labels: Counts labels of a model that were adopted, or refused.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        catalog: Catalog,
        models: Path,
        load: Callable[[Path], Model],
        *,
        max_versions: int = 1,
        state: Path | None = None,
        generation: str = "",
        follows_labels: bool = False,
        count_labels: Callable[[str, bool], None] = lambda name, is_good: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._folder = ModelFolder(models, load)
        self._max_versions = max_versions
        self.follows_labels = follows_labels
        self._clock = clock
        self._lock = threading.RLock()
        self._chosen: dict[str, ModelChoice] = {}
        self._failures: dict[str, dict[int, str]] = {}
        self._adoption = Adoption(self, self._folder, catalog, count_labels)
        self._shared = None if state is None else SharedChoices(state, models)
        # Choices that this process does not serve yet, and when to try them.
        self._pending: dict[str, float] = self._shared.pending if self._shared else {}
        if self._shared is not None:
            self._start(self._shared, generation)

    def _start(self, shared: SharedChoices, generation: str) -> None:
        """Choose if this is the first worker, and serve what is chosen."""
        choose = partial(self._adoption.choose_all, generation)
        is_first = False
        try:
            with shared.lock():
                choices = shared.read()
                is_first = generation not in choices.generations
                if is_first:
                    choices = choose(choices)
                    shared.write(choices)
        except OSError as error:
            log.error("the choice of versions is not shared: %s", error)
            choices = choose(shared.read())
        shared.seen = shared.stamp()
        self._note(choices)
        self._catalog.watch = partial(shared.watch, self.reconcile)
        self.reconcile()
        if is_first and self.follows_labels:
            with contextlib.suppress(OSError):  # no room for a lock; the watch follows
                self.adopt_newer()

    def note_failures(self, name: str, failures: dict[int, str]) -> None:
        """Note why versions of a model that were chosen are not served here."""
        self._failures[name] = failures

    def reconcile(self, name: str | None = None) -> None:
        """Serve what was chosen since this process last looked.

        Args:
            name: The model to serve; None for all. No other one is waited for.
        """
        shared = self._shared
        if shared is None or (shared.stamp() == shared.seen and not self._pending):
            return
        seen = shared.stamp()
        if seen != shared.seen:
            self._note(shared.read())
            shared.seen = seen
        wanted = list(self._pending) if name is None else [name]
        for one in wanted:
            if self._clock() >= self._pending.get(one, float("inf")):
                with self._lock:
                    self._serve(one)

    def _note(self, choices: Choices) -> None:
        """Note which models are to be served otherwise than they are."""
        for name, choice in choices.models.items():
            if self._chosen.get(name) != choice:
                self._remember(name, choice)
                self._pending[name] = float("-inf")

    def _remember(self, name: str, choice: ModelChoice) -> None:
        self._chosen[name] = choice
        self._catalog.direct(name, choice.traffic)

    def _serve(self, name: str, ready: Mapping[int, Model] | None = None) -> None:
        """Serve the chosen versions of a model; what fails is tried again later.

        Where none of them can be opened, what is served stays.
        """
        if self._clock() < self._pending.get(name, float("inf")):
            return
        choice = self._chosen[name]
        versions = [] if choice.state == UNLOADED else self._name_versions(name, choice)
        kept = choice.kept_versions()
        served, failures = self.open_newest(name, versions, kept, ready)
        if served or choice.state == UNLOADED:
            self._catalog.replace(name, served.values())
        if failures != self._failures.get(name, {}):  # logged once
            for version, reason in failures.items():
                log.error("cannot serve %s version %d: %s", name, version, reason)
        self._failures[name] = failures
        if failures:
            self._pending[name] = self._clock() + RETRY_SECONDS
        elif self._chosen[name] == choice:
            self._pending.pop(name, None)

    def _name_versions(self, name: str, choice: ModelChoice) -> list[int]:
        """Return the versions of a choice, the newest first.

        Where none could be opened then, those that failed; they may have been repaired.
        An earlier release chose the newest.
        """
        if choice.versions or choice.failures:
            return choice.versions or sorted(choice.failures, reverse=True)
        newest = self._folder.find_versions(name)[: self._max_versions]
        return [int(path.name) for path in newest]

    def open_newest(
        self,
        name: str,
        versions: list[int],
        kept: Collection[int] = (),
        ready: Mapping[int, Model] | None = None,
    ) -> tuple[dict[int, Model], dict[int, str]]:
        """Open as many versions as may be served; see `ModelFolder.open_newest`."""
        loaded = {**self._catalog.loaded(name), **(ready or {})}
        return self._folder.open_newest(
            name, versions, kept, loaded, limit=self._max_versions
        )

    def load(self, name: str) -> None:
        """Serve the newest versions of a model, in all workers.

        Raises:
            ModelNotFound: The folder has no such model.
            ModelNotLoaded: A version's folder is damaged, and it is not only on trial
                or labelled; or the choice cannot be stored. What was served still is.
        """
        self.reconcile(name)
        with self._lock:
            paths = self._choose_paths(name)
            if not paths and self._folder.find_unfinished(name):
                raise ModelNotLoaded(
                    f"failed to load {name[:80]!r}: each version of it {UNFINISHED}"
                )
            if not paths:
                raise no_such_model(name)
            versions = [int(path.name) for path in paths]
            # A version's folder never changes: what is loaded is not read again.
            opened, failures = self.open_newest(name, versions, versions)
            optional = self.find_choice(name).optional_versions() if opened else set()
            for version, reason in failures.items():
                if version not in optional:
                    raise ModelNotLoaded(f"failed to load {name[:80]!r}: {reason}")
                log.error("cannot serve %s version %d: %s", name, version, reason)
            self.share(name, LOADED, versions)
            self._catalog.replace(name, opened.values())
            if failures:
                self._failures[name] = failures
                self._pending[name] = self._clock() + RETRY_SECONDS

    def _choose_paths(self, name: str) -> list[Path]:
        """List the newest versions of a model, and others that are kept."""
        paths = self._folder.find_versions(name)
        kept = self.find_choice(name).kept_versions()
        newest, older = paths[: self._max_versions], paths[self._max_versions :]
        return newest + [path for path in older if int(path.name) in kept]

    def adopt_newer(self) -> None:
        """Serve versions that were published since the last choice, in all workers.

        Models that are unloaded stay so. A version that cannot be loaded is noted, and
        tried again once its files have changed; what is served stays.
        """
        if self._shared is None:
            return
        with self._shared.lock_watch() as is_alone:
            if not is_alone:
                return
            self.reconcile()
            for name in self._folder.names():
                try:
                    with self._lock:
                        self._adoption.adopt(name)
                except ModelNotLoaded as error:  # the choice cannot be stored
                    log.error("%s", error)

    def find_choice(self, name: str) -> ModelChoice:
        """Return what this process knows to be chosen of a model."""
        return self._chosen.get(name, ModelChoice(LOADED, 0))

    def version_labels(self, name: str) -> VersionLabels:
        """Return the labels that were adopted of a model, and why others were not."""
        self.reconcile(name)
        return self.find_choice(name).version_labels

    def find_labelled(self, name: str, label: str) -> int:
        """Find the version that an adopted label stands for.

        Raises:
            UnknownLabel: The model has no such label.
        """
        return choose_version(self.version_labels(name).versions, name, label)

    def unload(self, name: str) -> None:
        """Stop serving a model, in all workers, until it is loaded again.

        Raises:
            ModelNotFound: No such model is served or in the folder.
            ModelNotLoaded: The choice cannot be stored; the model is still served.
        """
        self.reconcile(name)
        if not self._catalog.loaded(name) and not self._folder.find_versions(name):
            raise no_such_model(name)
        with self._lock:
            self.share(name, UNLOADED, [])
            self._catalog.replace(name, [])

    def share(
        self,
        name: str,
        state: str,
        versions: list[int],
        failures: dict[int, str] | None = None,
        labels: VersionLabels | None = None,
    ) -> None:
        """Store a choice for all workers, and for those that start later.

        Raises:
            ModelNotLoaded: It cannot be stored; nothing has changed.
        """
        if self._shared is not None:
            try:
                choice = offload(
                    self._shared.add, name, state, versions, failures, labels
                )
            except OSError as error:
                raise ModelNotLoaded(
                    f"{name[:80]!r} cannot be {state}: the choice cannot be stored "
                    f"({error.strerror}). Make room on the disk of CARRYOVER_STATE."
                ) from None
            if choice.number >= self._chosen.get(name, choice).number:
                self._remember(name, choice)
                self._pending.pop(name, None)
        self._failures.pop(name, None)

    def change(
        self,
        name: str,
        change: Callable[[ModelChoice], ModelChoice],
        ready: Mapping[int, Model],
    ) -> ModelChoice:
        """Store a change of what is chosen for all workers, and serve it here.

        Args:
            name: Of the model.
            change: Returns what is chosen after what it is shown.
            ready: Versions that were opened for it.

        Raises:
            ModelNotLoaded: It cannot be stored; nothing has changed.
        """
        with self._lock:
            if self._shared is None:
                choice = change(self.find_choice(name))
            else:
                try:
                    choice = offload(self._shared.change, name, change)
                except OSError as error:
                    raise ModelNotLoaded(
                        f"the choice for {name[:80]!r} cannot be stored "
                        f"({error.strerror}). Make room on the disk of CARRYOVER_STATE."
                    ) from None
            self._remember(name, choice)
            self._pending[name] = float("-inf")
            self._serve(name, ready)
        return choice

    def failures(self, name: str) -> dict[int, str]:
        """Say why versions of a model are not served, as far as they were tried."""
        self.reconcile(name)
        failures = self._folder.find_unfinished(name)
        chosen = self._chosen.get(name)
        if chosen is not None and chosen.state == UNLOADED:
            return {}
        if chosen is not None:
            failures |= {**chosen.failures, **self._failures.get(name, {})}
        served = self._catalog.loaded(name)
        return {v: reason for v, reason in failures.items() if v not in served}

    def index(self) -> list[ListedVersion]:
        """List every version in the folder, and those served from elsewhere."""
        return list_index(self._folder, self._catalog, self.failures)
