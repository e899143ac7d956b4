"""A Keras file and the names beside it, read and checked before anything is imported.

Only `load_model` needs Keras. Knows nothing of what is done with a model.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from training.errors import ModelError

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
SUFFIXES = (".keras", ".h5", ".hdf5")
# What every HDF5 file begins with.
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# What Keras raises for a file that is cut short, or holds what it does not know.
LOAD_ERRORS = (
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
LONGEST_REASON = 300  # characters; Keras quotes whole configurations


def check_name(name: str) -> None:
    """Refuse a name that cannot stand in an address and be a folder.

    Raises:
        ModelError: The name has other characters, none or too many, or is all dots.
    """
    if not NAME.fullmatch(name) or not name.strip("."):
        raise ModelError(
            f"--name is {name[:80]!r}; expected 1 to 64 letters, digits, dots, "
            "underscores or hyphens, and not only dots, such as my-model."
        )


def check_model_file(path: Path) -> None:
    """Refuse what is no Keras file.

    Raises:
        ModelError: There is no such file, or it is of another kind.
    """
    if not path.is_file():
        raise ModelError(f"{path} is no file; give the path of a .keras or .h5 file.")
    if path.suffix not in SUFFIXES:
        raise ModelError(
            f"{path} ends in {path.suffix or 'nothing'}; expected {', '.join(SUFFIXES)}"
            '. Save the model with model.save("my_model.keras").'
        )
    with path.open("rb") as file:
        is_hdf5 = file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    is_whole = zipfile.is_zipfile(path) if path.suffix == ".keras" else is_hdf5
    if not is_whole:
        raise ModelError(
            f"{path} is no Keras file, or was cut short. Save the model again with "
            'model.save("my_model.keras").'
        )


def read_names(path: Path | None, option: str) -> list[str] | None:
    """Read one name per line; line k, from 0, names index k.

    Raises:
        ModelError: The file is missing or no text, a line is empty, or a name is there
            twice.
    """
    if path is None:
        return None
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{option} {path} cannot be read ({error}); expected a text file in UTF-8 "
            "with one name per line."
        ) from error
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise ModelError(
                f"{option} {path}, line {number} is empty; every line is one name. "
                "Name an index that is kept for padding [PAD], for instance."
            )
        if first.setdefault(name, number) != number:
            raise ModelError(
                f"{option} {path}, line {number} says {name!r} again, after line "
                f"{first[name]}; every name stands for one index."
            )
    if not names:
        raise ModelError(f"{option} {path} is empty; expected one name per line.")
    return names


def load_model(path: Path, *, allow_code: bool) -> Any:
    """Load a Keras model, without its optimizer.

    Args:
        path: Of a .keras or .h5 file.
        allow_code: Whether Python code stored in the file may run.

    Raises:
        ModelError: The file holds code, a class that is not known, or cannot be read.
    """
    import keras

    # Imported for the layers they register, so that files holding them can be read.
    import models.clock
    import models.peephole  # noqa: F401

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not allow_code)
    except LOAD_ERRORS as error:
        raise refuse_loading(path, error) from error
    layers = model._flatten_layers() if isinstance(model, keras.Model) else []
    for layer in layers:
        if isinstance(layer, keras.layers.Lambda) and not allow_code:
            raise refuse_code(path, f"layer {layer.name!r} (Lambda)")
    return model


def refuse_loading(path: Path, error: Exception) -> ModelError:
    """Say why Keras could not load a file, and how to mend it."""
    reason = " ".join(str(error).split())
    if "enable_unsafe_deserialization" in reason:
        return refuse_code(path, "a Lambda layer")
    missing = re.search(r"Could not locate (?:class|function) '([^']*)'", reason)
    missing = missing or re.search(r"Unknown (?:layer|\w+): '([^']*)'", reason)
    if missing:
        return ModelError(
            f"{path} needs {missing[1]!r}, which is not in Keras and whose code is not "
            "in the file. A model class of your own on a graph of layers loads without "
            "it: save keras.Model(model.inputs, model.outputs) instead. For a layer, "
            "use one of Keras's."
        )
    short = reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + "..."
    return ModelError(f"{path} cannot be read by this Keras: {short}")


def refuse_code(path: Path, where: str) -> ModelError:
    """Say why a file with code in it is not loaded."""
    return ModelError(
        f"{path} has {where}, which is Python code stored in the file: loading it runs "
        "whatever its author put there, with your rights. Give --allow-code "
        "if you trust where it comes from, or save the model with layers of Keras "
        "instead, such as Rescaling or an operation of keras.ops."
    )
