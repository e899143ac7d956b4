"""Statistics of infer calls, kept in files that all workers map.

Each worker counts in files of its own, without a lock between processes; who asks adds
those of all workers up. They begin at zero with the service. Knows no HTTP.
"""

from __future__ import annotations

import mmap
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

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


class Times(NamedTuple):
    """What a call took, in nanoseconds.

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


class Statistics:
    """Counts infer calls by model and version.

    Args:
        folder: Where the workers of a machine share the counts; None to keep them in
            this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, np.ndarray] = {}
        self._folder = None if folder is None else open_run(folder)

    def record_success(self, name: str, version: int, rows: int, times: Times) -> None:
        """Count a call that was answered."""
        counts = self._find(name, version)
        with self._lock:
            for k, taken in enumerate((sum(times), 0, *times)):
                counts[2 * k] += k != 1
                counts[2 * k + 1] += taken
            counts[ROWS] += rows
            counts[CALLS] += 1
            counts[LAST] = time.time_ns() // 1_000_000
            start = NUM_TOTALS + min(rows, MAX_BATCH) * BATCH_COLUMNS
            counts[start : start + BATCH_COLUMNS] += (1, *times[1:])

    def record_failure(self, name: str, version: int, taken: int) -> None:
        """Count a call that was refused, and its nanoseconds."""
        counts = self._find(name, version)
        with self._lock:
            counts[2] += 1
            counts[3] += taken

    def describe(self, name: str, version: int) -> dict[str, Any]:
        """Tell the statistics of a version, in the form of Triton's extension."""
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
        key = f"{quote(name, safe='')}-{version}"
        if key not in self._counts:
            with self._lock:
                if key not in self._counts:
                    self._counts[key] = self._create(key)
        return self._counts[key]

    def _create(self, key: str) -> np.ndarray:
        if self._folder is None:
            return np.zeros(SIZE, np.int64)
        path = self._folder / f"{key}-{os.getpid()}"
        with path.open("w+b") as file:
            file.truncate(8 * SIZE)
            return np.frombuffer(mmap.mmap(file.fileno(), 8 * SIZE), np.int64)

    def _read_all(self, name: str, version: int) -> Iterator[np.ndarray]:
        """Yield the counts of every worker, ended ones too."""
        key = f"{quote(name, safe='')}-{version}"
        if self._folder is None:
            yield self._find(name, version)
            return
        for path in self._folder.glob(f"{key}-*"):
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


def open_run(folder: Path) -> Path:
    """Make the folder of this run of the service, and remove those of ended runs.

    A run is named after the process that started the workers, which they share, and
    the time it began: in a container its number is the same after each restart.
    """
    runs = folder / "statistics"
    own = runs / name_process(os.getppid())
    own.mkdir(parents=True, exist_ok=True)
    for run in runs.iterdir():
        pid = run.name.partition("-")[0]
        if pid.isdigit() and run.name != name_process(int(pid)):
            shutil.rmtree(run, ignore_errors=True)
    return own


def name_process(pid: int) -> str:
    """Name a process by its number and the time it began, where the system tells."""
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return f"{pid}-0"
    # The second field is the program's name in parentheses, and may hold any; the
    # 22nd is the time, in ticks since the machine started.
    return f"{pid}-{status.rpartition(')')[2].split()[19]}"
