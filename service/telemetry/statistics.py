"""Statistics of infer calls, kept in files that all workers read.

Each worker counts in its own memory and writes files of its own a few times a second,
without a lock between processes; who asks adds those of all workers up.
They begin at zero with the service. Knows no HTTP.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Container, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from service.common.files import PARTIAL, replace_file
from service.common.loop import Debouncer, offload
from service.common.runs import NOW, lock_folder

# Batches beyond this size are counted with it.
MAX_BATCH = 1024
DURATIONS = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
)
BATCH_DURATIONS = DURATIONS[3:]
# Of all calls: a count and nanoseconds of each duration, then what follows.
NUM_RECORDED = 2 * len(DURATIONS)
ROWS, CALLS, LAST = range(NUM_RECORDED, NUM_RECORDED + 3)
NUM_TOTALS = NUM_RECORDED + 3
# Of each size of batch: a count, and the nanoseconds of three durations.
BATCH_COLUMNS = 1 + len(BATCH_DURATIONS)
SIZE = NUM_TOTALS + (MAX_BATCH + 1) * BATCH_COLUMNS
NOTHING = np.zeros(SIZE, np.int64)
ENDED = "ended"
# Answered calls that are kept until they are counted together, as in `metrics`.
MAX_WAITING = 128
log = logging.getLogger(__name__)


class Times(NamedTuple):
    """Durations of a call's phases, in nanoseconds.

    Attributes:
        queue: Until the engine took its rows in; 0 where it needed no engine.
        read: Reading it.
        engine: The network and the store.
        write: Writing the answer.
    """

    queue: int
    read: int
    engine: int
    write: int


class CallStatistics:
    """Counts infer calls by model and version.

    Args:
        folder: Where the workers of a run share the counts; None to keep them in
            this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._counts: dict[str, np.ndarray] = {}
        self._changed: set[str] = set()
        self._answered: deque[tuple[str, int, int, Times, int]] = deque()
        self._debouncer = Debouncer(self.write)
        self._is_failing = False
        self._folder = folder

    def record_success(self, name: str, version: int, rows: int, times: Times) -> None:
        """Note a call that was answered; many are counted together.

        What counts one is cold after each request, and takes several times as long.
        """
        at = time.time_ns() // 1_000_000
        self._answered.append((name, version, rows, times, at))
        if len(self._answered) >= MAX_WAITING:
            self._count_answered()
        elif self._folder is not None and not self._debouncer.is_scheduled:
            self._debouncer.trigger()

    def record_failure(self, name: str, version: int, taken: int) -> None:
        """Count a call that was refused, and its nanoseconds."""
        counts = self._find(name, version)
        with self._lock:
            counts[2] += 1
            counts[3] += taken
        if self._folder is not None:
            self._changed.add(name_counts(name, version))
            if not self._debouncer.is_scheduled:
                self._debouncer.trigger()

    def _count_answered(self) -> None:
        """Count the calls that were answered since the last time."""
        with contextlib.suppress(IndexError):  # none is left
            while True:
                self._count(*self._answered.popleft())

    def _count(self, name: str, version: int, rows: int, times: Times, at: int) -> None:
        # A view's numbers are Python's own, at a fraction of what NumPy's cost.
        counts = self._find(name, version).data
        start = NUM_TOTALS + min(rows, MAX_BATCH) * BATCH_COLUMNS
        with self._lock:
            counts[0] += 1
            counts[1] += sum(times)
            for k, taken in enumerate(times):
                counts[2 * k + 4] += 1  # after success and fail
                counts[2 * k + 5] += taken
                if k:
                    counts[start + k] += taken
            counts[start] += 1
            counts[ROWS] += rows
            counts[CALLS] += 1
            counts[LAST] = at
        if self._folder is not None:
            self._changed.add(name_counts(name, version))

    def write(self) -> None:
        """Write what this worker has counted since the last time, for the others.

        Not in the event loop: a file system makes who creates a file wait for others.
        """
        with self._writing:
            self._count_answered()
            while self._folder is not None and self._changed:
                key = self._changed.pop()
                path = self._folder / f"{key}@{os.getpid()}"
                with self._lock:
                    content = self._counts[key].tobytes()
                try:
                    offload(partial(replace_file, sync=False), path, content)
                except OSError as error:
                    self._note(path, error)
                    self._changed.add(key)
                    return
                self._is_failing = False

    def _note(self, path: Path, error: OSError) -> None:
        if not self._is_failing:
            log.error("%s: %s; this worker counts alone", path, error.strerror)
        self._is_failing = True

    def describe(self, name: str, version: int) -> dict[str, Any]:
        """Return the statistics of a version, in the form of Triton's extension."""
        workers = np.stack([NOTHING, *self._read_all(name, version)])
        counts = workers.sum(axis=0)
        durations = {
            kind: {"count": int(counts[2 * k]), "ns": int(counts[2 * k + 1])}
            for k, kind in enumerate(DURATIONS)
        }
        nothing = {"count": 0, "ns": 0}
        return {
            "name": name,
            "version": str(version),
            "last_inference": int(workers[:, LAST].max()),
            "inference_count": int(counts[ROWS]),
            "execution_count": int(counts[CALLS]),
            "inference_stats": {
                **durations,
                "cache_hit": nothing,
                "cache_miss": nothing,
            },
            "response_stats": {},
            "batch_stats": list(describe_batches(counts)),
            "memory_usage": [],
        }

    def _find(self, name: str, version: int) -> np.ndarray:
        """Return this worker's counts of a version."""
        key = name_counts(name, version)
        if key not in self._counts:
            with self._lock:
                if key not in self._counts:
                    self._counts[key] = np.zeros(SIZE, np.int64)
        return self._counts[key]

    def _read_all(self, name: str, version: int) -> Iterator[np.ndarray]:
        """Yield the counts of every worker, ended ones too."""
        key = name_counts(name, version)
        if self._folder is None:
            self._count_answered()
            yield self._find(name, version)
            return
        # Whatever happened to this worker's files and their folder.
        self._folder.mkdir(parents=True, exist_ok=True)
        self._changed |= self._counts.keys()
        self.write()
        with lock_folder(self._folder, fcntl.LOCK_SH):
            for path in self._folder.glob(f"{key}@*"):
                if path.suffix == PARTIAL:
                    continue
                counts = np.fromfile(path, np.int64)
                if len(counts) == SIZE:
                    yield counts


def describe_batches(counts: np.ndarray) -> Iterator[dict[str, Any]]:
    """Describe each size of batch that occurred."""
    table = counts[NUM_TOTALS:].reshape(-1, BATCH_COLUMNS)
    for size in np.flatnonzero(table[:, 0]).tolist():
        count, *taken = table[size].tolist()
        durations = zip(BATCH_DURATIONS, taken, strict=True)
        yield {
            "batch_size": size,
            **{kind: {"count": count, "ns": ns} for kind, ns in durations},
        }


@lru_cache(maxsize=256)
def name_counts(name: str, version: int) -> str:
    """Name the files of a version; `@` is in no quoted name."""
    return f"{quote(name, safe='')}@{version}"


def add_ended(folder: Path, living: Container[int]) -> None:
    """Add the counts of ended workers to a file of them all, and drop theirs.

    Args:
        folder: Of the run.
        living: Process numbers of the workers. What could not be added before, for
            want of room or because it was being read, is added with the next.
    """
    with contextlib.suppress(BlockingIOError), lock_folder(folder, NOW):
        for file in folder.glob("*@*@[0-9]*"):
            pid, _, rest = file.name.rpartition("@")[2].partition(".")
            if int(pid) in living:
                continue
            if rest:  # it ended while it wrote
                file.unlink()
            else:
                add_counts(file)


def add_counts(file: Path) -> None:
    """Add a file of counts to that of all ended workers, and drop it."""
    total = file.with_name(f"{file.name.rpartition('@')[0]}@{ENDED}")
    try:
        counts = np.fromfile(file, np.int64)
        kept = np.fromfile(total, np.int64) if total.exists() else NOTHING
        if len(counts) == len(kept) == SIZE:
            last = max(counts[LAST], kept[LAST])
            counts += kept
            counts[LAST] = last
            replace_file(total, counts.tobytes())
        file.unlink()
    except OSError as error:  # no room: it stays, and is counted where it is
        log.error("%s cannot be added to %s: %s", file, total, error)
