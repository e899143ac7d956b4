"""A run of the service: what its arbiter and workers share, apart from other runs.

A run is named after the process that starts the workers and the time it began: in a
container its number is the same after each restart.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Names the last start or reload of the service; the arbiter sets it for its workers.
GENERATION_VARIABLE = "SERVICE_GENERATION"


def name_generation() -> str:
    """Name the start of the service that this worker belongs to."""
    return os.environ.get(GENERATION_VARIABLE) or name_process(os.getppid())


def open_run(runs: Path, pid: int) -> Path:
    """Make the folder of a run, and remove those of ended runs.

    Args:
        runs: Folder of the runs; several services may share it.
        pid: The process that starts the workers.
    """
    own = runs / name_process(pid)
    own.mkdir(parents=True, exist_ok=True)
    for run in runs.iterdir():
        other = run.name.partition("-")[0]
        is_ended = other.isdigit() and run.name != name_process(int(other))
        if is_ended or run.suffix == ".db":  # those of earlier releases lay here
            remove(run)
    return own


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is still there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def name_process(pid: int) -> str:
    """Name a process by its number and the time it began, where the system tells."""
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return f"{pid}-0"
    # The second field is the program's name in parentheses, and may hold any; the
    # 22nd is the time, in ticks since the machine started.
    return f"{pid}-{status.rpartition(')')[2].split()[19]}"
