"""A run of the service: what its arbiter and workers share, apart from other runs.

Each run has a folder in the shared state. Its processes lock a file there for as long
as they live, so that the next run knows which folders nobody uses. A process number
could not: each container counts its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

# Name the run, and its last start or reload; the arbiter sets them for its workers.
RUN_VARIABLE = "SERVICE_RUN"
GENERATION_VARIABLE = "SERVICE_GENERATION"
LOCK_FILE = "alive"
# Non-blocking lock: a reader that has it may have been stopped.
NOW = fcntl.LOCK_EX | fcntl.LOCK_NB
log = logging.getLogger(__name__)
# Where the library looks for the folder.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def begin_run() -> None:
    """Name this process's run; its workers inherit the name."""
    os.environ[RUN_VARIABLE] = os.environ[GENERATION_VARIABLE] = name_start()


def begin_generation() -> None:
    """Name a reload of this run."""
    os.environ[GENERATION_VARIABLE] = name_start()


def name_start() -> str:
    """Name a start that this process makes now."""
    return f"{name_process(os.getpid())}-{time.time_ns()}"


def name_run() -> str:
    """Name the run of this worker; workers without an arbiter's name share a parent."""
    return os.environ.get(RUN_VARIABLE) or name_process(os.getppid())


def name_generation() -> str:
    """Name the start or reload of the service that this worker belongs to."""
    return os.environ.get(GENERATION_VARIABLE) or name_run()


def open_run(state: Path, part: str) -> Path | None:
    """Make a folder of this run for its counts, and remove those of ended runs.

    Args:
        state: Folder that several services may share.
        part: Name of the folder.

    Returns:
        The folder; None where there is no room for it.
    """
    try:
        runs = state / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        own = runs / name_run()
        with lock_folder(runs, fcntl.LOCK_EX):
            own.mkdir(exist_ok=True)
            # Never closed: it is unlocked when the run's last process has ended.
            descriptor = os.open(own / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            for run in runs.iterdir():
                if run != own and is_ended(run):
                    shutil.rmtree(run, ignore_errors=True)
        (own / part).mkdir(exist_ok=True)
    except OSError as error:
        log.error("%s; each worker counts alone", error)
        return None
    return own / part


def is_ended(run: Path) -> bool:
    """Return whether no process uses a run's folder."""
    try:
        descriptor = os.open(run / LOCK_FILE, os.O_RDWR)
    except OSError:  # of an earlier release, or left half made
        return True
    try:
        fcntl.flock(descriptor, NOW)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock_folder(folder: Path, kind: int) -> Iterator[None]:
    """Lock a folder against other processes that do.

    Args:
        folder: A folder that exists.
        kind: Of `fcntl.flock`.

    Raises:
        BlockingIOError: `kind` does not wait, and another process has it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def name_process(pid: int) -> str:
    """Name a process by its number and the time it began, where the system has it."""
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return f"{pid}-0"
    # The second field is the program's name in parentheses, and may hold any; the
    # 22nd is the time, in ticks since the machine started.
    return f"{pid}-{status.rpartition(')')[2].split()[19]}"


def prepare_metrics_folder(state: Path) -> None:
    """Make this run's folder of counts; in the process that starts the workers."""
    os.environ.pop(FOLDER_VARIABLE, None)
    if folder := open_run(state, "metrics"):
        os.environ[FOLDER_VARIABLE] = str(folder)


def find_metrics_folder() -> Path | None:
    """Return the folder of counts; None where each process counts alone."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None
