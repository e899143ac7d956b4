"""Where the workers count: a folder of files that each maps into its memory.

Apart from `service.metrics`, because the client library decides at its import whether
it counts in files: the folder is to be named before anything imports that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from service.runs import open_run

# Where the library looks for the folder.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare_folder(folder: Path) -> None:
    """Make a run's folder of counts; in the process that starts its workers."""
    os.environ[FOLDER_VARIABLE] = str(open_run(folder, os.getpid()))


@contextlib.contextmanager
def folder_lock(is_shared: bool) -> Iterator[Path]:
    """Keep readers of the counts and who adds those of an ended worker apart."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)
