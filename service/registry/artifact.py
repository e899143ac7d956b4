"""Exported models on disk: the list of versions, and their parsed manifests.

Knows the layout `<models>/<name>/<version>/` and the manifest; loads no network.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from service.common.files import read_regular

MANIFEST = Path("assets.extra", "carryover", "manifest.json")
# The manifest format this service reads; export writes it as "format".
FORMAT = 1
# As TensorFlow Serving has it; "2-backup" and ".3.partial" are no versions.
VERSION = re.compile(r"[1-9][0-9]*")
MAX_VERSION = 2**63 - 1  # TensorFlow Serving's, and what a record has room for
# Indices are int32.
Size = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
# What a SavedModel's loader does not read; TensorFlow Serving's warm-up is there.
EXTRA = "assets.extra"
log = logging.getLogger(__name__)


class ArtifactError(Exception):
    """A version's folder is damaged or of a format this service does not read."""


class ProgramFile(msgspec.Struct, frozen=True):
    """A compiled program of a version.

    Args:
        file: Where it is, relative to the version.
        signature: `advance` or `explain`.
        batch: Rows of a call.
        timesteps: Timesteps of a call.
    """

    file: str
    signature: Literal["advance", "explain"]
    batch: Size
    timesteps: Size


class Manifest(msgspec.Struct, frozen=True):
    """Manifest of one version of a model, as training wrote it.

    Args:
        format: Format of the manifest.
        name: Name of the model, as in its address.
        version: Version of the model, 1 or more.
        task: Kind of the output, such as `label`, `next_event` or `duration`.
        cell: A name of docs/reference/networks.md, such as `lstm`; of an imported Keras
            model its cells' names joined by `+`.
        units: Size of each recurrent layer.
        input: Input schema; its `kind` is `event`, `index`, `vector` or `record`
            (`models.schemas`).
        output: Output schema: its `name`, and `labels` where it has any.
        memory: Size of each memory tensor, in the order they are stored.
        network: SHA-256 of weights and schemas; what memory is bound to.
        files: SHA-256 of every other file of the version.
        programs: The compiled programs, if the network could be compiled.
        threshold: Probability from which a label counts as decided, if any.
        created_at: When it was exported, ISO 8601 in UTC.
        training: Configuration, seed and data of the training.
        metrics: Measured quality, each with its baselines.
        packages: Versions of the packages it was made with.
        examples: Real sequences by name, for the playground.
        input_name: The name of a lone input in the model it was made from, if any:
            accepted in place of `sequence`.
        memory_dtype: Of the memory tensors.
    """

    format: int
    name: str
    version: Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSION)]
    task: str
    cell: str
    units: list[Size]
    input: dict[str, Any]
    output: dict[str, Any]
    memory: dict[str, list[Size]]
    network: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    files: dict[str, str]
    programs: list[ProgramFile] = []
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    created_at: str = ""
    training: dict[str, Any] = {}
    metrics: list[Any] = []
    packages: dict[str, str] = {}
    examples: list[Any] = []
    input_name: str = ""
    memory_dtype: Literal["float32", "float64"] = "float32"

    @property
    def labels(self) -> list[str] | None:
        """The labels of a classifier, in the order of its probabilities."""
        return self.output.get("labels")


class Artifact(msgspec.Struct, frozen=True):
    """One version of a model on disk."""

    path: Path
    manifest: Manifest


def find_versions(models: Path) -> Iterator[list[Path]]:
    """Yield the folders of the versions of every model under a folder, newest first."""
    if not models.is_dir():
        log.warning(
            "no models: %s is not a folder; export one with `make train`", models
        )
        return
    for model in sorted(models.iterdir()):
        if versions := list_versions(model):
            yield versions
        elif model.is_dir() and not model.name.startswith("."):
            log.warning("skipped %s: no version in it has a %s", model, MANIFEST)


def list_versions(model: Path) -> list[Path]:
    """List the folders of a model's versions, newest first.

    Those named by a version number, with a manifest. A folder that cannot be
    read has none, so that it costs no other model.
    """
    versions = [path for path in list_numbered(model) if has_manifest(path)]
    return sorted(versions, key=lambda path: int(path.name), reverse=True)


def list_unfinished(model: Path) -> list[Path]:
    """List the folders that are named as versions are and have no manifest."""
    return [path for path in list_numbered(model) if not has_manifest(path)]


def list_numbered(model: Path) -> list[Path]:
    """List the folders of a model that are named by a version number."""
    try:
        if not model.is_dir():
            return []
        return [path for path in model.iterdir() if is_version(path.name)]
    except OSError as error:
        log.error("%s cannot be read: %s", model, error)
        return []


def has_manifest(version: Path) -> bool:
    """Return whether a folder is a whole version, or one that cannot be read."""
    try:
        return (version / MANIFEST).is_file()
    except OSError:  # loading it says why, and gives its place to the next
        return True


def is_version(name: str) -> bool:
    """Return whether a folder's name is a version number."""
    return VERSION.fullmatch(name) is not None and int(name) <= MAX_VERSION


def read_artifact(path: Path) -> Artifact:
    """Read and check one version.

    Raises:
        ArtifactError: The manifest cannot be read, or a file is not the one exported.
    """
    try:
        manifest = msgspec.json.decode(read_regular(path / MANIFEST), type=Manifest)
    except (OSError, UnicodeError, msgspec.MsgspecError, RecursionError) as error:
        raise ArtifactError(
            f"{path / MANIFEST} cannot be read: {error}. Export the model again."
        ) from error
    if manifest.format != FORMAT:
        raise ArtifactError(
            f"{path} has manifest format {manifest.format}; this service reads "
            f"{FORMAT}. Export the model again with the training code of this release."
        )
    if (path.parent.name, path.name) != (manifest.name, str(manifest.version)):
        raise ArtifactError(
            f"{path} holds version {manifest.version} of {manifest.name}, as its "
            "manifest says; a version is served under its own name. Rename the folder "
            "back, or export the model under the other name."
        )
    if "saved_model.pb" not in manifest.files:
        raise ArtifactError(f"{path} lists no saved_model.pb; export the model again.")
    artifact = Artifact(path, manifest)
    for name in {*manifest.files, *list_loaded(path)}:
        read_file(artifact, name)
    return artifact


def list_loaded(version: Path) -> list[str]:
    """List the files that a SavedModel's loader may read, hidden ones left out."""
    folders = [path for path in version.iterdir() if path.name != EXTRA]
    files = [file for path in folders for file in (path, *path.rglob("*"))]
    names = [file.relative_to(version) for file in files if file.is_file()]
    return [str(n) for n in names if not any(p.startswith(".") for p in n.parts)]


def read_file(artifact: Artifact, name: str) -> bytes:
    """Read a file of a version, as it was exported.

    Raises:
        ArtifactError: It is not listed, missing, elsewhere, or was changed since.
    """
    version, expected = artifact.path, artifact.manifest.files.get(name)
    file = version / name
    if expected is None:
        raise ArtifactError(
            f"{version} does not list {name!r} among its files. Remove the file, or "
            "export the model again."
        )
    try:
        if not file.resolve().is_relative_to(version.resolve()):
            raise ArtifactError(f"{version} lists {name!r}, which is not inside it.")
        content = read_regular(file)
    # A ValueError: a zero in the name. A RuntimeError: a link to itself.
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{file} cannot be read: {error}.") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ArtifactError(
            f"{file} was changed after export (SHA-256 {actual[:12]}, the manifest "
            f"says {expected[:12]}). Export the model again, or restore the file."
        )
    return content
