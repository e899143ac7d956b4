"""Folder of metrics files: each worker writes its own, any worker adds them up.

Apart from `service.telemetry.metrics`, because the client library decides at its import
whether it counts in files: the folder is to be named before anything imports that.
"""

from __future__ import annotations

import os
from pathlib import Path

from service.common.runs import open_run

# Where the library looks for the folder.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare_folder(state: Path) -> None:
    """Make this run's folder of counts; in the process that starts the workers."""
    os.environ.pop(FOLDER_VARIABLE, None)
    if folder := open_run(state, "metrics"):
        os.environ[FOLDER_VARIABLE] = str(folder)


def find_folder() -> Path | None:
    """Return the folder of counts; None where each process counts alone."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None
