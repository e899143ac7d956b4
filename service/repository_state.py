"""What was last asked for of each model: a file that all workers look at.

It is replaced whole, under a lock between processes. Beside it stands how often that
was done, in memory that the workers share: every request looks there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

COUNT_BYTES = 8


class Wish(NamedTuple):
    """What was last asked for of a model, and the how manieth wish of it that was."""

    state: str
    number: int


class Wishes:
    """What was asked for, by model, shared between processes.

    Args:
        state: Folder they share; it is made where there is none.
    """

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._file = state / "repository.json"
        with self._write_lock():
            if not self._file.exists():
                self._write({})
            with self._file.with_suffix(".changes").open("ab+") as held:
                held.truncate(COUNT_BYTES)
                self._count = mmap(held.fileno(), COUNT_BYTES)

    def look(self) -> bytes:
        """Return what is another whenever something was asked for."""
        return self._count[:]

    def read(self) -> dict[str, Wish]:
        """Read what was asked for."""
        wishes = json.loads(self._file.read_text())
        return {name: Wish(*wish) for name, wish in wishes.items()}

    def add(self, name: str, state: str) -> Wish:
        """Ask for a state of a model, and let all know."""
        with self._write_lock():
            wishes = self.read()
            wish = Wish(state, wishes.get(name, Wish("", 0)).number + 1)
            self._write({**wishes, name: wish})
            number = int.from_bytes(self.look(), "little") + 1
            self._count[:] = number.to_bytes(COUNT_BYTES, "little")
        return wish

    def _write(self, wishes: dict[str, Wish]) -> None:
        """Put another file in the place of the one there is."""
        beside = self._file.with_suffix(f".{os.getpid()}.partial")
        beside.write_text(json.dumps(wishes))
        os.replace(beside, self._file)

    @contextlib.contextmanager
    def _write_lock(self) -> Iterator[None]:
        """Hold off other processes that would write the file."""
        with self._file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
