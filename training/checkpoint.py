"""The checkpoint of a run in progress: written whole or not at all, after every epoch.

Holds weights, the optimizer's memory, the losses so far and, where training stops
early, the best weights so far, as a plain NumPy archive (no pickle). Does not know what
is trained or why.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from training.atomic import write_atomically
from training.errors import CheckpointError


class Progress(NamedTuple):
    """Progress of a training, without the weights of the network.

    Args:
        losses: One per finished epoch.
        validation: The same, of the validation part.
        best: Weights of the best epoch so far; empty where the last ones are taken.
    """

    losses: list[float]
    validation: list[float]
    best: list[Any]


def save_checkpoint(path: Path, network: keras.Model, progress: Progress) -> None:
    """Write everything the next epoch depends on.

    Args:
        path: The checkpoint file.
        network: Compiled, its optimizer built.
        progress: Losses and best weights.
    """
    history = np.array([progress.losses, progress.validation])
    arrays = {
        **name_arrays("variable", checkpointed(network)),
        **name_arrays("best", progress.best),
    }
    write_atomically(path, lambda file: np.savez(file, losses=history, **arrays))


def name_arrays(name: str, variables: Sequence[Any]) -> dict[str, Any]:
    """Name arrays by their place."""
    return {f"{name}_{k}": np.asarray(one) for k, one in enumerate(variables)}


def take_arrays(archive: Any, name: str) -> list[Any]:
    """Take the arrays of a name in their order."""
    count = sum(file.startswith(f"{name}_") for file in archive.files)
    return [archive[f"{name}_{k}"] for k in range(count)]


def load_checkpoint(path: Path, network: keras.Model) -> Progress:
    """Put a checkpoint's values into a network and its optimizer.

    Args:
        path: The checkpoint file; it may not exist.
        network: Compiled, its optimizer built.

    Returns:
        The losses of the finished epochs, those of the validation part and the best
        weights so far; all empty if there is no checkpoint.

    Raises:
        CheckpointError: The file is damaged or belongs to another network.
    """
    if not path.exists():
        return Progress([], [], [])
    with open_archive(path) as archive:
        losses, validation = archive["losses"].tolist()
        values, best = (take_arrays(archive, name) for name in ("variable", "best"))
    restore(path, network, values)
    return Progress(losses, validation, best)


def read_validation(path: Path) -> list[float]:
    """Read the validation losses of a checkpoint; empty without any.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return []
    with open_archive(path) as archive:
        return list(map(float, archive["losses"][1]))


@contextmanager
def open_archive(path: Path) -> Iterator[Any]:
    """Open a checkpoint; what is wrong with it is one sentence.

    Raises:
        CheckpointError: The file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}). Delete it; training then starts over."
        ) from error


def restore(path: Path, network: keras.Model, values: Sequence[Any]) -> None:
    """Assign values to variables of the same number and shapes.

    Raises:
        CheckpointError: The checkpoint has other arrays than the network.
    """
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
