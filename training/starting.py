"""A configuration to start from, for a file of events of the user's own.

What worked on logs of several sizes; everything in it can be changed. Does not train.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.data.files import list_captured
from training.errors import ConfigError

# From about this number of events on a larger network is worth its time.
LARGE_EVENTS = 100_000
EVENT_BYTES = 30  # of a row, roughly
GZIP_RATIO = 6
SMALL = {
    "network": {"cell": "gru", "units": [64], "embedding": 16, "dropout": 0.2},
    "training": {"epochs": 25, "batch_size": 32, "learning_rate": 0.003},
}
SERIES = {
    "network": {"cell": "lstm", "units": [64]},
    "training": {"epochs": 60, "batch_size": 16, "learning_rate": 0.005},
}
LARGE = {
    "network": {"cell": "lstm", "units": [96], "embedding": 32, "dropout": 0.1},
    "training": {"epochs": 8, "batch_size": 128, "learning_rate": 0.003},
}


def start_config(
    name: str, path: Path, roles: Mapping[str, Any], task: str | None = None
) -> dict[str, Any]:
    """Write down what to train on a file, as the table a TOML file would be.

    Args:
        name: Of the model.
        path: The file.
        roles: Keys of `[data]` that name columns.
        task: What is to be learnt; None for the label, where there is one, or else the
            next event.
    """
    task = task or ("label" if "label" in roles else "next event")
    data = {"source": "events", "file": str(path), **roles, "task": task}
    is_text = ".txt" in path.suffixes
    if is_text:
        data["end"] = False  # the one text ends once
    events = measure_size(path) // (1 if is_text else EVENT_BYTES)
    size = LARGE if events >= LARGE_EVENTS else SMALL
    return {"name": name, "seed": 1, "data": data, **size}


def measure_size(path: Path) -> int:
    """Return about how many bytes a file has when it is uncompressed."""
    try:
        if path.is_dir():
            return sum(measure_size(file) for file in list_captured(path))
        size = path.stat().st_size
    except OSError:
        return 0  # reading it says why
    return size * GZIP_RATIO if path.suffix == ".gz" else size


def pick_roles(
    case: str | None,
    event: str | None,
    time: str | None,
    label: str | None,
    numbers: Sequence[str],
    categories: Sequence[str],
) -> dict[str, Any]:
    """Keep the roles that were given."""
    given = {
        "case": case,
        "event": event,
        "time": time,
        "label": label,
        "numbers": list(numbers),
        "categories": list(categories),
    }
    return {role: column for role, column in given.items() if column}


def default_name(path: Path) -> str:
    """Make a model's name of a file's.

    Raises:
        ConfigError: Nothing of it can be one.
    """
    stem = path.name.partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:64]
    if not name:
        raise ConfigError(f"--name is missing; give the model of {path} a name.")
    return name
