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
import time
from collections.abc import Callable

from service.runs import GENERATION_VARIABLE, name_process

TRIAL = (sys.executable, "-c", "import service.wsgi")
TRIAL_SECONDS = 110
RETRY_SECONDS = 30.0
log = logging.getLogger("gunicorn.error")


class TriedReload:
    """Reloads if a worker can start, else tries again later.

    Args:
        reload: gunicorn's own.
    """

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload

    def __call__(self) -> None:
        """Start new workers in the place of the old ones, if that works."""
        before = os.environ[GENERATION_VARIABLE]
        os.environ[GENERATION_VARIABLE] = (
            f"{name_process(os.getpid())}-{time.time_ns()}"
        )
        reason = find_failure()
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


def find_failure() -> str | None:
    """Start as a worker would, and return why that fails."""
    trial = subprocess.Popen(TRIAL, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = trial.communicate(timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        trial.kill()
        trial.communicate()
        return f"no start in {TRIAL_SECONDS} s"
    finally:
        forget(trial.pid)
    return None if trial.returncode == 0 else (errors.strip() or "?").splitlines()[-1]


def forget(pid: int) -> None:
    """Drop the files in which a trial would have counted."""
    from service.allocated_counts import add_ended

    add_ended(pid)
