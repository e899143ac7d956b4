"""The folder of a run: `runs/<name>/<fingerprint>/`, where interrupted training waits.

The fingerprint is of everything the weights follow from, so the same command finds the
same folder, and any change of configuration, data or packages begins another.
Does not know what a checkpoint holds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.config import Config
from training.errors import RunBusy
from training.toml import write_toml

# Enough to never collide, short enough to read: 64 bits.
FINGERPRINT_DIGITS = 16
CHECKPOINT_SUFFIX = ".checkpoint.npz"


def package_versions() -> dict[str, str]:
    """Return the versions that the weights depend on."""
    packages = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {**packages, "python": platform.python_version()}


def locate_run(runs: Path, config: Config, facts: Mapping[str, Any]) -> Path:
    """Name the folder of the run that this configuration and data make."""
    resolved = config.resolved()
    del resolved["card"]  # words of the report, which no weight depends on
    content = {
        "config": resolved,
        "data": dict(facts),
        "packages": package_versions(),
    }
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    return runs / config.name / fingerprint[:FINGERPRINT_DIGITS]


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Create the folder and hold it, so that two processes never share checkpoints.

    The lock dies with the process, however it dies.

    Raises:
        RunBusy: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunBusy(
                f"{folder} is being trained by another process. Wait for it, or "
                "train another configuration, such as --set seed=2."
            ) from error
        yield


def keep_config(folder: Path, config: Config) -> None:
    """Write every key of a run's configuration: `fit --config` takes the file."""
    text = write_toml(config.resolved())
    (folder / "config.toml").write_text(text, encoding="utf-8")


def checkpoint_path(folder: Path, network: str) -> Path:
    """Name the checkpoint of one of the run's networks."""
    return folder / (network.replace(" ", "-") + CHECKPOINT_SUFFIX)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a finished run, and of writes that were cut short."""
    for path in folder.glob(f"*{CHECKPOINT_SUFFIX}*"):
        path.unlink()
