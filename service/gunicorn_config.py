"""gunicorn's configuration, from the service's own settings."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from service.crash_report import report_crash
from service.metrics_folder import prepare_folder
from service.reloading import TriedReload
from service.runs import GENERATION_VARIABLE, name_process
from service.settings import read_settings

_settings = read_settings(os.environ)
prepare_folder(Path(_settings.state) / "metrics")

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.workers
# One event loop a worker: what arrives together is advanced together, and a client that
# sends slowly holds a greenlet, not a thread. gevent's own HTTP server, which with
# llhttp is four times as fast as gunicorn's (ARCHITECTURE.md).
worker_class = "service.worker.Worker"
worker_connections = _settings.connections
# Each worker opens its own store and runtimes, after the fork.
preload_app = False
# A worker that answers nothing for this long is replaced; loading takes seconds.
timeout = 120
graceful_timeout = 20
# Nobody talks to it, and several services of one user would share its one path.
control_socket_disable = True
# One line per request comes from service.access_log.
accesslog = None
errorlog = "-"


os.environ[GENERATION_VARIABLE] = f"{name_process(os.getpid())}-{time.time_ns()}"


def when_ready(server: Any) -> None:
    """Have a reload tried before the old workers end."""
    server.reload = TriedReload(server.reload)


def child_exit(server: Any, worker: Any) -> None:
    """Report a crash, and keep what an ended worker counted, without its files."""
    report_crash(Path(_settings.state) / "crashes", worker.pid, server.log.error_log)
    from service import allocated_counts, statistics

    allocated_counts.add_ended(worker.pid)
    runs = Path(_settings.state) / "statistics"
    statistics.add_ended(runs / name_process(os.getpid()), worker.pid)
