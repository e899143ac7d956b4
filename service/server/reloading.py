"""A reload (SIGHUP) that is tried before it ends a worker.

gunicorn ends the old workers at once, whether new ones can start or not. So a process
of its own starts first as a worker would; if it fails, the old ones stay.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from service.common.runs import FOLDER_VARIABLE, GENERATION_VARIABLE, begin_generation
from service.server.crash_report import report_crash

TRIAL = (sys.executable, "-c", "import service.wsgi")
TRIAL_SECONDS = 110
RETRY_SECONDS = 30.0
log = logging.getLogger("gunicorn.error")


class TriedReload:
    """Reloads if a worker can start, else tries again later.

    Args:
        reload: gunicorn's own.
        crashes: Where a process leaves its stack if a fatal signal ends it.
    """

    def __init__(self, reload: Callable[[], None], crashes: Path) -> None:
        self._reload = reload
        self._crashes = crashes

    def __call__(self) -> None:
        """Start new workers in the place of the old ones, if that works."""
        before = os.environ[GENERATION_VARIABLE]
        begin_generation()
        reason = find_failure(self._crashes)
        if reason is None:
            self._reload()
            return
        os.environ[GENERATION_VARIABLE] = before
        log.error(
            "a worker cannot start, so the old ones stay; tried again in %.0f s: %s",
            RETRY_SECONDS,
            reason,
        )
        later = threading.Timer(RETRY_SECONDS, os.kill, (os.getpid(), signal.SIGHUP))
        later.daemon = True
        later.start()


def find_failure(crashes: Path) -> str | None:
    """Start as a worker would, and return why that fails."""
    # It counts nothing: its files would be those of a worker that has ended.
    environ = {k: v for k, v in os.environ.items() if k != FOLDER_VARIABLE}
    trial = subprocess.Popen(TRIAL, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = trial.communicate(timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        trial.kill()
        trial.communicate()
        return f"no start in {TRIAL_SECONDS} s"
    finally:
        report_crash(crashes, trial.pid, log)
    return None if trial.returncode == 0 else (errors.strip() or "?").splitlines()[-1]
