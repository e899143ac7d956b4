"""What was last asked for of each model: a file that all workers look at.

It is replaced whole, under a lock between processes; who looks pays for a `stat`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Wish(NamedTuple):
    """What was last asked for of a model, and the how manieth wish of it that was."""

    state: str
    number: int


def prepare(state: Path) -> Path:
    """Make the folder and the file of wishes, where there is none."""
    state.mkdir(parents=True, exist_ok=True)
    file = state / "repository.json"
    with write_lock(file):
        if not file.exists():
            write_wishes(file, {})
    return file


def look_at(file: Path) -> object:
    """Return what changes whenever the file is written."""
    status = os.stat(file)
    return status.st_mtime_ns, status.st_ino


def read_wishes(file: Path) -> dict[str, Wish]:
    """Read what was asked for, by model."""
    return {name: Wish(*wish) for name, wish in json.loads(file.read_text()).items()}


def write_wishes(file: Path, wishes: dict[str, Wish]) -> None:
    """Put another file in the place of the one there is."""
    beside = file.with_suffix(f".{os.getpid()}.partial")
    beside.write_text(json.dumps(wishes))
    os.replace(beside, file)


@contextlib.contextmanager
def write_lock(file: Path) -> Iterator[None]:
    """Hold off other processes that would write the file."""
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
