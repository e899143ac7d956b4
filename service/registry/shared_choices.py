"""Desired state of each model, its versions included: a file that all workers follow.

Each folder of models has its own, so that services of different folders share a state.

It is replaced whole, under a lock between processes, and has a copy for the case that
it is damaged. Every request looks at its stamp, a system call of three microseconds.
A file of its own that counts the changes could be emptied or removed under a worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec.structs import replace

from service.common.files import replace_file
from service.registry.traffic import NO_TRAFFIC, Traffic

LOADED, UNLOADED = "loaded", "unloaded"
# The file and its copy.
NAMES = ("repository.json", "repository.copy.json")
NAME_BYTES = 8
# msgspec has no error of its own for text that is not UTF-8.
DAMAGE = (OSError, UnicodeError, msgspec.MsgspecError, RecursionError)
log = logging.getLogger(__name__)


class VersionLabels(msgspec.Struct, array_like=True, frozen=True):
    """Version labels of a model.

    Attributes:
        versions: The version that each stands for.
        failure: Why a later labels file was refused; empty for none.
    """

    versions: dict[str, int] = {}
    failure: str = ""


class ModelChoice(msgspec.Struct, array_like=True, frozen=True):
    """Desired state of a model.

    Attributes:
        state: `loaded` or `unloaded`.
        number: How often it was chosen; a change of it is to be followed.
        versions: The versions to serve. A record of an earlier release has none.
        failures: Why a newer version could not be chosen, by version.
        version_labels: Its version labels, where a watch adopts them.
        traffic: On which version new sessions begin.
    """

    state: str
    number: int
    versions: list[int] = []
    failures: dict[int, str] = {}
    version_labels: VersionLabels = VersionLabels()
    traffic: Traffic = NO_TRAFFIC

    def kept_versions(self) -> set[int]:
        """Return the versions that are served even if they are not the newest."""
        return {*self.version_labels.versions.values(), *self.traffic.versions()}

    def optional_versions(self) -> set[int]:
        """Return those of them without which the model is served: not the stable one.

        They are on trial, were stable before, or have another label.
        """
        stable = {self.traffic.stable, self.version_labels.versions.get("stable")}
        return self.kept_versions() - stable


class Choices(msgspec.Struct, frozen=True):
    """The file: the latest starts of services that chose, and what it chose."""

    generations: list[str] = []
    models: dict[str, ModelChoice] = {}


class SharedChoices:
    """The choices, shared between processes.

    Args:
        state: Folder they share; created if absent.
        models: Folder of models; services of another one have choices of their own.

    Attributes:
        seen: Stamp of the file as this process follows it.
        pending: Choices that this process does not serve yet, and when to try them.
    """

    def __init__(self, state: Path, models: Path) -> None:
        folder = state / "repositories" / name_folder(models)
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._copy = (folder / name for name in NAMES)
        # Of an earlier release, which had one file for all folders of models.
        self._earlier = [state / name for name in NAMES]
        self._path = str(self._file)  # quicker to look at
        self.seen = 0, 0
        self.pending: dict[str, float] = {}

    def stamp(self) -> tuple[int, int]:
        """Return the stamp of the file; each choice gives it another."""
        try:
            found = os.stat(self._path)
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def watch(self, follow: Callable[[str | None], None], name: str | None) -> None:
        """Call `follow` with a name where a choice is not followed yet."""
        if self.pending or self.stamp() != self.seen:
            follow(name)

    def read(self) -> Choices:
        """Read what was chosen, from the copy where the file is damaged."""
        own = [self._file, self._copy]
        is_any = any(file.exists() for file in own)
        for file in own if is_any else self._earlier:
            try:
                return decode(file.read_bytes())
            except FileNotFoundError:
                continue
            except DAMAGE as error:
                log.error("%s cannot be read: %s", file, error)
        return Choices()

    def write(self, choices: Choices) -> None:
        """Replace the file, so that all workers see it. Hold the lock.

        Raises:
            OSError: There is no room for it.
        """
        content = msgspec.json.encode(choices)
        # The clock of a file system ticks so slowly that two files could be alike.
        later = max(time.time_ns(), self.stamp()[1] + 1)
        for file in (self._copy, self._file):
            replace_file(file, content, later)

    def add(
        self,
        name: str,
        state: str,
        versions: list[int],
        failures: dict[int, str] | None = None,
        labels: VersionLabels | None = None,
    ) -> ModelChoice:
        """Choose versions of a model, and let all know; None keeps its labels.

        Raises:
            OSError: There is no room for it.
        """

        def change(before: ModelChoice) -> ModelChoice:
            return replace(
                before,
                state=state,
                versions=versions,
                failures=failures or {},
                version_labels=before.version_labels if labels is None else labels,
            )

        return self.change(name, change)

    def change(
        self, name: str, change: Callable[[ModelChoice], ModelChoice]
    ) -> ModelChoice:
        """Replace the choice of a model, given the current one, for all workers.

        Raises:
            OSError: There is no room for it.
        """
        with self.lock():
            choices = self.read()
            before = choices.models.get(name, ModelChoice("", 0))
            choice = replace(change(before), number=before.number + 1)
            models = {**choices.models, name: choice}
            self.write(Choices(choices.generations, models))
        return choice

    @contextlib.contextmanager
    def lock_watch(self) -> Iterator[bool]:
        """Say whether no other process looks for new versions now, and keep it so."""
        with self._file.with_suffix(".watch").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold off other processes that would write the file."""
        with self._file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def name_folder(models: Path) -> str:
    """Name the choices of a folder of models by where it is, links resolved."""
    path = os.fsencode(models.resolve())
    return blake2b(path, digest_size=NAME_BYTES).hexdigest()


def decode(content: bytes) -> Choices:
    """Decode the file, or that of an earlier release: choices by model.

    Raises:
        msgspec.MsgspecError: It is neither.
    """
    try:
        return Choices([], msgspec.json.decode(content, type=dict[str, ModelChoice]))
    except msgspec.ValidationError:
        return msgspec.json.decode(content, type=Choices)
