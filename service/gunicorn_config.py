"""gunicorn's configuration, from the service's own settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from service.crash_report import report_crash
from service.metrics_folder import prepare_folder
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


def child_exit(server: Any, worker: Any) -> None:
    """Report a crash, and drop a worker's gauges: it has no rows any more."""
    report_crash(Path(_settings.state) / "crashes", worker.pid, server.log.error_log)
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)
