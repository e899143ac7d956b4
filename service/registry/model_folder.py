"""The folder of models: which versions are in it, and the names of versions.

Version labels are names such as `stable`, in a file next to the versions:
`<models>/<model>/labels.json` contains `{"stable": 1, "canary": 2}`. Without a watch it
is read at every look, so that moving a label needs no restart; with one, the repository
adopts it for all workers. It does not know which versions are served.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from service.common.files import read_regular
from service.common.loop import offload
from service.errors import ModelNotFound, UnknownLabel
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
LABELS_FILE = "labels.json"
# Some ten thousand labels.
MAX_BYTES = 2**20
# Of those that an error names.
MAX_NAMED = 20
DECODER = msgspec.json.Decoder(dict[str, Annotated[int, msgspec.Meta(ge=1)]])


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


def find_version(models: Path, model: str, label: str) -> int:
    """Find the version a label stands for.

    Args:
        models: Folder of models.
        model: A served model's name.
        label: The label.

    Raises:
        UnknownLabel: The model has no such label, or its file cannot be read.
    """
    return choose_version(read_labels(models / model / LABELS_FILE), model, label)


def choose_version(labels: Mapping[str, int], model: str, label: str) -> int:
    """Return the version a label stands for.

    Raises:
        UnknownLabel: None of the model's labels is this one.
    """
    if label not in labels:
        first = [label[:80] for label in sorted(labels)[:MAX_NAMED]]
        known = ", ".join(first) or "none"
        if len(labels) > MAX_NAMED:
            known += f" and {len(labels) - MAX_NAMED} more"
        raise UnknownLabel(
            f"model {model[:80]!r} has no version label {label[:80]!r}; its labels "
            f"are: {known}. They are set in {LABELS_FILE} next to its versions.",
            error=f"Unrecognized servable version label: {label[:80]}",
        )
    return labels[label]


def read_labels(file: Path) -> dict[str, int]:
    """Read a file of labels; an absent file sets no labels.

    A file that cannot be read changes no label: those that this process read last stay.

    Raises:
        UnknownLabel: It cannot be read, and never could be.
    """
    try:
        labels = decode_labels(file)
    except UnknownLabel as error:
        if file not in _bad:  # logged once
            log.error("%s", error)
            _bad.add(file)
        if file not in _good:
            raise
        return _good[file]
    _bad.discard(file)
    _good.pop(file, None)
    if labels:  # without any, a file that is damaged later leaves none to stay
        _good[file] = labels
    return labels


def decode_labels(file: Path) -> dict[str, int]:
    """Decode a file of labels; an absent file sets no labels.

    Raises:
        UnknownLabel: It cannot be read.
    """
    try:
        return DECODER.decode(read_regular(file, MAX_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, msgspec.MsgspecError, RecursionError) as error:
        # An OSError names the file's path, which is nobody's business.
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnknownLabel(
            f"the labels of {file.parent.name!r} cannot be read: {reason}. Expected "
            f'{LABELS_FILE} to contain versions by label, such as {{"stable": 1}}.'
        ) from error


_good: dict[Path, dict[str, int]] = {}
_bad: set[Path] = set()
