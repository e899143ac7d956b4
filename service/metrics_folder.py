"""Where the workers count: a folder of files that each maps into its memory.

Apart from `service.metrics`, because the client library decides at its import whether
it counts in files: the folder is to be named before anything imports that.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Where the library looks for the folder.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare_folder(folder: Path) -> None:
    """Make an empty folder for the workers' counts; in the process that starts them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
