"""The checkpoint of a run in progress: written whole or not at all, after every epoch.

Holds weights, the optimizer's memory and the losses so far, as a plain NumPy archive
(no pickle). Does not know what is trained or why.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.atomic import write_atomically
from training.errors import CheckpointError


def save_checkpoint(
    path: Path,
    network: keras.Model,
    losses: Sequence[float],
    validation: Sequence[float],
) -> None:
    """Write everything the next epoch depends on.

    Args:
        path: The checkpoint file.
        network: Compiled, its optimizer built.
        losses: One per finished epoch.
        validation: The same, of the validation part.
    """
    history = np.array([losses, validation])
    arrays: dict[str, Any] = {
        f"variable_{k}": np.asarray(variable)
        for k, variable in enumerate(checkpointed(network))
    }
    write_atomically(path, lambda file: np.savez(file, losses=history, **arrays))


def load_checkpoint(
    path: Path, network: keras.Model
) -> tuple[list[float], list[float]]:
    """Put a checkpoint's values into a network and its optimizer.

    Args:
        path: The checkpoint file; it may not exist.
        network: Compiled, its optimizer built.

    Returns:
        The losses of the finished epochs and those of the validation part; both empty
        if there is no checkpoint.

    Raises:
        CheckpointError: The file is damaged or belongs to another network.
    """
    if not path.exists():
        return [], []
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            losses, validation = archive["losses"].tolist()
            values = [archive[f"variable_{k}"] for k in range(len(archive.files) - 1)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}). Delete it; training then starts over."
        ) from error
    restore(path, network, values)
    return losses, validation


def restore(path: Path, network: keras.Model, values: Sequence[Any]) -> None:
    """Assign values to variables of the same number and shapes."""
    variables = checkpointed(network)
    expected = [tuple(variable.shape) for variable in variables]
    came = [value.shape for value in values]
    if came != expected:
        raise CheckpointError(
            f"{path} holds arrays of shapes {came}; this network has {expected}. "
            "Delete it; training then starts over."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def checkpointed(network: keras.Model) -> list[Any]:
    """List weights first, then the optimizer's variables."""
    return [*network.variables, *network.optimizer.variables]
