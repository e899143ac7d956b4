"""gunicorn's configuration, from the service's own settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from service.common.runs import begin_run, open_run, prepare_metrics_folder
from service.server.crash_report import report_crash
from service.server.reloading import TriedReload
from service.settings import find_exposure, read_settings
from service.stores.schemes import check_address

_settings = read_settings(os.environ)
check_address(_settings.memory)  # or every worker would be tried again for ever
_state = Path(_settings.state)
_crashes = _state / "crashes"
begin_run()
prepare_metrics_folder(_state)
_statistics = open_run(_state, "statistics")

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.workers
# One event loop a worker: what arrives together is advanced together, and a client that
# sends slowly holds a greenlet, not a thread. gevent's own HTTP server, which with
# llhttp is four times as fast as gunicorn's (ARCHITECTURE.md).
worker_class = "service.server.worker.Worker"
worker_connections = _settings.connections
# Each worker opens its own store and runtimes, after the fork.
preload_app = False
# A worker that answers nothing for this long is replaced; loading takes seconds.
timeout = 120
graceful_timeout = 20
# Nobody talks to it, and several services of one user would share its one path.
control_socket_disable = True
# One line per request comes from service.api.access_log.
accesslog = None
errorlog = "-"
logger_class = "service.server.logger.JsonLogger"


def when_ready(server: Any) -> None:
    """Have a reload tried before the old workers end; warn of an open service."""
    server.reload = TriedReload(server.reload, _crashes)
    if warning := find_exposure(_settings):
        server.log.warning("%s", warning)


def child_exit(server: Any, worker: Any) -> None:
    """Report a crash, and keep what an ended worker counted, without its files."""
    report_crash(_crashes, worker.pid, server.log.error_log)
    from service.telemetry import metrics_counts, statistics

    metrics_counts.add_ended(server.WORKERS)
    if _statistics:
        statistics.add_ended(_statistics, server.WORKERS)
