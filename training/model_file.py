"""A Keras file as bytes on disk: which kind it is, what it unpacks to, its description.

The first bytes decide, not the name. Sizes are checked before anything is unpacked.
Knows no Keras: `training.load_keras` builds the model.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from training.errors import ModelError

HDF5_SIGNATURE, ZIP_SIGNATURE = b"\x89HDF\r\n\x1a\n", b"PK"
WEIGHTS = "model.weights.h5"
# Weights hardly compress and descriptions of layers do, tenfold; bombs a thousandfold.
MAX_EXPANSION = 20
# Below this any expansion is harmless.
SMALL = 64 * 2**20  # bytes
# Of weights, unpacked. A SavedModel and a program must fit 2 GiB each.
MAX_WEIGHT_BYTES = 2 * 2**30  # bytes
SAVE_AGAIN = 'Save the model again with model.save("my_model.keras").'

# What a file of another kind begins with, what it is, and what to do.
OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS in place of the model",
        "Fetch the model itself with git lfs pull.",
    ),
    (
        b"<",
        "a web page or XML",
        "Download the file itself, not the page that shows it.",
    ),
    (
        b"{",
        "JSON, as a notebook or a description of layers without weights",
        "Run the notebook, or build the model with keras.models.model_from_json and "
        'load its weights; then save it with model.save("my_model.keras").',
    ),
    (
        b"\x80",
        "a Python pickle",
        "Load it where it was made and save it with model.save.",
    ),
    *(
        (begins, f"packed with {by}", "Unpack it and give the Keras file in it.")
        for begins, by in (
            (b"\x1f\x8b", "gzip"),
            (b"BZh", "bzip2"),
            (b"\xfd7zXZ", "xz"),
            (b"7z\xbc\xaf", "7-Zip"),
            (b"Rar!", "RAR"),
        )
    ),
)
# Protocol buffers have no signature of their own. These begin with a version and the
# next field's tag; a graph begins with name and kind of its first operation.
BUFFERS = (
    (rb"\x08\x01\x12", "the saved_model.pb of a SavedModel, which has no layers"),
    (rb"\x08[\x02-\x7f][\x12:]", "an ONNX file, which has no layers of Keras"),
    (rb"\n.{1,4}\n.[\w./-]+\x12.[A-Z]\w+", "a frozen graph, which has no layers"),
)
# The member by which an archive of another kind is recognised.
ARCHIVES = {
    "data.pkl": "a PyTorch file",
    "saved_model.pb": "a zipped SavedModel, which has no layers",
}
PACKED = (".keras", ".h5", ".hdf5")
# What a folder has in it that a `.keras` archive was unpacked to.
UNPACKED = ("config.json", WEIGHTS)
# What an HDF5 file has at its top that `save_weights` wrote, in Keras 3 and before.
SAVED_WEIGHTS = ("layers", "_layer_checkpoint_dependencies", "model_weights", "vars")


@dataclass(frozen=True)
class ModelFile:
    """A Keras file that was found whole, nothing of it built.

    Args:
        path: Where it is.
        is_zip: Whether it is an archive (`.keras`), not HDF5 (`.h5`).
        config: The description of its layers.
        keras_version: Of the Keras that wrote it; empty where the file does not say.
        weight_bytes: Size of its weights, unpacked.
        has_assets: Whether it holds files besides weights, as lookups do.
    """

    path: Path
    is_zip: bool
    config: dict[str, Any]
    keras_version: str
    weight_bytes: int
    has_assets: bool = False

    @property
    def is_legacy(self) -> bool:
        """True if a Keras before 3 wrote it."""
        major = self.keras_version.partition(".")[0]
        # Keras Core, of which Keras 3 was made, counted from 0.
        return not (major == "0" or (major.isdecimal() and int(major) >= 3))


def read_model_file(path: Path) -> ModelFile:
    """Recognise a Keras file, check its sizes and read its description.

    Raises:
        ModelError: It is missing, of another kind, damaged, or too large unpacked.
    """
    with refuse_missing(path).open("rb") as file:
        first = file.read(256)
    try:
        if first.startswith(HDF5_SIGNATURE):
            return read_hdf5(path)
        if first.startswith(ZIP_SIGNATURE):
            return read_archive(path)
    except ModelError:
        raise
    except (OSError, EOFError, KeyError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    except zipfile.BadZipFile as error:
        raise damaged(path, error) from error
    raise refuse_kind(path, first)


def refuse_missing(path: Path) -> Path:
    """Refuse a folder, and a path where nothing is.

    Raises:
        ModelError: There is no file at the path.
    """
    if path.is_dir():
        if all((path / name).exists() for name in UNPACKED):
            raise ModelError(
                f"{path} is a .keras file that was unpacked; expected the file. Pack "
                "what is in the folder again, with zip -0, and name that .keras."
            )
        is_saved = (path / "saved_model.pb").exists()
        what = "a SavedModel, which has no layers" if is_saved else "a folder"
        raise ModelError(
            f"{path} is {what}; expected a .keras or .h5 file. Load it where it was "
            'made and save it with model.save("my_model.keras").'
        )
    if not path.is_file():
        raise ModelError(
            f"{path} is not a file; expected the path of a .keras or .h5 file."
        )
    return path


def refuse_kind(path: Path, first: bytes) -> ModelError:
    """Say what a file is that is not a Keras file."""
    for begins, what, instead in OTHERS:
        if first.lstrip().startswith(begins):
            return ModelError(f"{path} is {what}; expected a Keras file. {instead}")
    if first[4:8] == b"TFL3":
        return ModelError(
            f"{path} is a LiteRT program, which has no layers; expected the Keras file "
            "that it was made from."
        )
    for pattern, what in BUFFERS:
        if re.match(pattern, first, re.DOTALL):
            return ModelError(
                f"{path} is {what}; expected the Keras file that it was made from. "
                "Load the model where it was trained and save it with model.save"
                '("my_model.keras").'
            )
    what = "empty" if not first else "not a Keras file, or was cut short"
    return ModelError(f"{path} is {what}. {SAVE_AGAIN}")


def damaged(path: Path, error: Exception) -> ModelError:
    """Say that a file is damaged."""
    reason = " ".join(str(error).split())[:160]
    return ModelError(f"{path} is damaged or was cut short ({reason}). {SAVE_AGAIN}")


def read_hdf5(path: Path) -> ModelFile:
    """Read the description in an HDF5 file.

    Raises:
        ModelError: It describes no layers, or is too large unpacked.
    """
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
        if text is None:
            raise refuse_layerless(path, file)
        check_expansion(path, add_up(file))
        size = limit_weights(path, add_up(file["model_weights"]))
        version = decode(file.attrs.get("keras_version", b""))
    return ModelFile(path, False, parse_config(path, decode(text)), version, size)


def refuse_layerless(path: Path, file: h5py.File) -> ModelError:
    """Say what an HDF5 file is that describes no layers."""
    is_weights = "layer_names" in file.attrs or any(x in file for x in SAVED_WEIGHTS)
    if not is_weights:
        return ModelError(
            f"{path} is an HDF5 file with neither layers nor weights of Keras, as data "
            f"sets are. {SAVE_AGAIN}"
        )
    return ModelError(
        f"{path} has weights and no description of layers, as save_weights writes it. "
        "Build the model in Python, load these weights and save both with "
        'model.save("my_model.keras").'
    )


def read_archive(path: Path) -> ModelFile:
    """Read the description in a `.keras` archive.

    Raises:
        ModelError: It has no description of layers, or is too large unpacked.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "config.json" not in names:
            raise refuse_archive(path, names)
        check_expansion(path, sum(i.file_size for i in archive.infolist()))
        config = parse_config(path, archive.read("config.json").decode())
        metadata = (
            json.loads(archive.read("metadata.json"))
            if "metadata.json" in names
            else {"keras_version": "3"}
        )
        size = sum(i.file_size for i in archive.infolist())
        if WEIGHTS in names:
            with archive.open(WEIGHTS) as member, h5py.File(member, "r") as file:
                check_expansion(path, add_up(file))
                size = limit_weights(path, add_up(file))
        has_assets = any(name.startswith("assets/") for name in names)
    version = str(metadata.get("keras_version", ""))
    return ModelFile(path, True, config, version, size, has_assets)


def refuse_archive(path: Path, names: list[str]) -> ModelError:
    """Say what an archive is that is not a Keras file."""
    for name in names:
        if Path(name).name in ARCHIVES:
            what = ARCHIVES[Path(name).name]
            return ModelError(f"{path} is {what}; expected a Keras file. {SAVE_AGAIN}")
        if name.endswith(PACKED):
            return ModelError(
                f"{path} is an archive with {name[:80]!r} in it; expected that file. "
                "Unpack it and give the Keras file in it."
            )
    return ModelError(
        f"{path} is an archive without config.json, not a Keras file. {SAVE_AGAIN}"
    )


def add_up(group: Any) -> int:
    """Add up what the datasets of a group unpack to, in bytes."""
    return sum(int(part.size) * int(part.dtype.itemsize) for part in walk(group))


def limit_weights(path: Path, size: int) -> int:
    """Return a size of weights that can be exported.

    Raises:
        ModelError: They are too large.
    """
    if size > MAX_WEIGHT_BYTES:
        raise ModelError(
            f"{path} describes weights of {show_bytes(size)}; at most "
            f"{show_bytes(MAX_WEIGHT_BYTES)} can be exported. Use layers of fewer "
            "units."
        )
    return size


def walk(group: Any) -> Iterator[Any]:
    """Yield the datasets in a group and in the groups of it; links lead nowhere.

    Raises:
        ValueError: A link leads out of the file.
    """
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link")
        part = group[name]
        if isinstance(part, h5py.Group):
            yield from walk(part)
        elif part.external or part.is_virtual:
            raise ValueError(f"{name} is stored in another file")
        else:
            yield part


def check_expansion(path: Path, size: int) -> None:
    """Refuse a file that unpacks to far more than it is.

    Raises:
        ModelError: It does.
    """
    packed = path.stat().st_size
    if size > max(SMALL, MAX_EXPANSION * packed):
        raise ModelError(
            f"{path} has {show_bytes(packed)} and unpacks to {show_bytes(size)}; at "
            f"most {MAX_EXPANSION} times its size is read. {SAVE_AGAIN}"
        )


def show_bytes(size: int) -> str:
    """Write a number of bytes in a unit that is read at a glance."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 2**power:
            return f"{size / 2**power:,.1f} {unit}"
    return f"{size} bytes"


def parse_config(path: Path, text: str) -> dict[str, Any]:
    """Read the description of a model.

    Raises:
        ModelError: It is not one.
    """
    # Keras 3 was made of Keras Core, and has its modules without the end of its name.
    config = json.loads(text.replace('"keras_core', '"keras'))
    if not isinstance(config, dict) or "config" not in config:
        raise ModelError(f"{path} has no description of layers. {SAVE_AGAIN}")
    return config


def decode(text: Any) -> str:
    """Return text that HDF5 has as bytes or as text."""
    return text.decode() if isinstance(text, bytes) else str(text)
