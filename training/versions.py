"""Published versions as training reads them: their manifests, and labels for them."""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from training.atomic import write_atomically
from training.errors import ConfigError
from training.publish import flush, list_versions

MANIFEST = Path("assets.extra/carryover/manifest.json")
LABELS = "labels.json"  # the service reads it: `{"stable": 1}`
LABEL = re.compile(r"[^/:\s]{1,64}")  # as in /v1/models/{model}/labels/{label}

LISTED = 10  # models that an error names


class Version(NamedTuple):
    """A published version.

    Args:
        path: Its folder.
        manifest: What it is.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def title(self) -> str:
        """Model and number, as in `visits/2`."""
        return f"{self.manifest['name']}/{self.manifest['version']}"


def read_version(path: Path) -> Version:
    """Read a version.

    Raises:
        ConfigError: There is no version, or its manifest cannot be read.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError("it is not an object")
    except FileNotFoundError as error:
        if versions := list_versions(path):
            raise ConfigError(
                f"{path} is a model; expected one of its versions, such as "
                f"{path.name}/{versions[-1]}. Name it."
            ) from error
        known = ", ".join(map(str, find_versions(path.parent)))
        raise ConfigError(
            f"{path} is no published version; the versions in {path.parent} are: "
            f"{known}. Name one of them."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path / MANIFEST} cannot be read ({error}). Restore the version."
        ) from error
    return Version(path, manifest)


def find_versions(folder: Path) -> list[int]:
    """Return the numbers of a model's versions, in order; there is one or more.

    Raises:
        ConfigError: It has no version; with the names of models that are near.
    """
    if versions := list_versions(folder):
        return versions
    names = []
    if folder.parent.is_dir():
        names = sorted(
            one.name for one in folder.parent.iterdir() if list_versions(one)
        )
    near = difflib.get_close_matches(folder.name, names, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    known = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    others = f"The models in {folder.parent} are: {known}. Name one of them, or train"
    raise ConfigError(
        f"{folder} has no version yet. {hint}{others if names else 'Train'} "
        "the first version with `python -m training fit`."
    )


def find_served(folder: Path, label: str | None) -> Version:
    """Find the version that clients get: the labelled one, or the newest whole one.

    A version that the service refuses, because its files are not those that were
    exported, is passed over and named on standard error.

    Raises:
        ConfigError: There is no version, or no such label; or none of them, or the
            labelled one, is whole.
    """
    if label is not None:
        find_versions(folder)  # a misspelt name of the model, before its labels
        return read_whole(folder / find_labelled(folder, label))
    versions = find_versions(folder)
    refusal = ConfigError("")
    for number in reversed(versions):
        try:
            return read_whole(folder / str(number))
        except ConfigError as error:
            sys.stderr.write(f"passed over: {error}\n")
            refusal = error
    raise refusal


def find_labelled(folder: Path, label: str) -> str:
    """Find the number of the version that has a label.

    Raises:
        ConfigError: None has it.
    """
    labels = read_labels(folder)
    if label not in labels:
        known = ", ".join(sorted(labels)) or "none"
        raise ConfigError(
            f"{folder} has no label {label!r}; its labels are: {known}. Set it "
            f"with `python -m training promote {folder.name} VERSION --label "
            f"{label}`."
        )
    return str(labels[label])


def read_whole(path: Path) -> Version:
    """Read a version, and check that its files are those that were exported.

    Raises:
        ConfigError: There is no version, or a file is missing or another one: the
            service refuses it.
    """
    version = read_version(path)
    files = version.manifest.get("files")
    for name, expected in (files if isinstance(files, dict) else {}).items():
        try:
            found = hashlib.sha256((path / name).read_bytes()).hexdigest()
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        else:
            if found == expected:
                continue
            reason = "was changed after it was exported"
        raise ConfigError(
            f"{path / name} {reason}, so the service refuses version {path.name}. "
            "Restore the file, or name a whole version by a label."
        )
    return version


def promote(folder: Path, number: int, label: str) -> int | None:
    """Let a label stand for another version, at once and for good.

    Args:
        folder: Of the model's versions.
        number: The version.
        label: Such as `stable`.

    Returns:
        The version that the label stood for, if any.

    Raises:
        ConfigError: There is no such version, or the label cannot be one.
    """
    if not LABEL.fullmatch(label) or label.isdecimal():
        raise ConfigError(
            f"--label is {label[:80]!r}; expected 1 to 64 characters without '/', ':' "
            "and spaces, and no number, which would read as a version. Choose a name "
            "such as stable."
        )
    read_version(folder / str(number))
    with lock_labels(folder):
        labels = read_labels(folder)
        before = labels.get(label)
        content = json.dumps({**labels, label: number}, indent=2) + "\n"
        write_atomically(folder / LABELS, lambda file: file.write(content.encode()))
        flush(folder)
    return before


@contextmanager
def lock_labels(folder: Path) -> Iterator[None]:
    """Keep others from changing labels meanwhile; the lock dies with the process."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def read_labels(folder: Path) -> dict[str, int]:
    """Read the labels of a model; an absent file sets none.

    Raises:
        ConfigError: The file is not what the service reads.
    """
    file = folder / LABELS
    try:
        if file.exists() and not file.is_file():  # opening a named pipe may never end
            raise ValueError("it is no regular file")
        labels = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}). Correct it.") from error
    numbers = labels.values() if isinstance(labels, dict) else [None]
    if not all(type(number) is int and number > 0 for number in numbers):
        raise ConfigError(
            f"{file} has something else than versions by label; expected such as "
            '{"stable": 1}. Correct it.'
        )
    return dict(labels)
