"""The application, as gunicorn loads it (`service.wsgi:app`).

The one module with effects at import: it reads the environment, opens the store and
loads the models, in each worker after the fork (TensorFlow does not survive one).
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
from pathlib import Path

from service.api import access_log
from service.api.fast_path import FastPath
from service.api.responses import answer_crash
from service.app import build_services, create_app
from service.registry.adoption import FolderWatch
from service.server.crash_report import record_crash
from service.sessions.session_count import SessionCount, name_mark
from service.sessions.sweeper import Sweeper
from service.settings import read_settings
from service.telemetry import metrics, tracing
from service.telemetry.log_lines import BufferedLines, JsonLine

# New objects between two runs of the collector. Python's 700 are a fraction of what a
# request of 256 rows makes, and all but cycles are freed without it.
GARBAGE_THRESHOLD = 50_000

settings = read_settings(os.environ)
lines = BufferedLines(sys.stderr)
lines.setFormatter(JsonLine())
logging.basicConfig(level=settings.log_level.upper(), handlers=[lines])
access_log.write_with(lines.write)
record_crash(Path(settings.state) / "crashes")
services = build_services(settings)
tracing.start(os.environ)
app = create_app(services)
app.wsgi_app = FastPath(app.wsgi_app, services, answer_crash)  # type: ignore[method-assign]
sweeper = Sweeper(services.engine.sessions, services.is_clock_trusted)
sweeper.start()
session_count = SessionCount(
    services.engine.sessions,
    services.catalog.names,
    services.is_clock_trusted,
    name_mark(Path(settings.state), settings.memory),
)
session_count.start()
services.engine.shadow.start()
if services.engine.capture:
    services.engine.capture.start()
if settings.watch_seconds and services.repository:
    FolderWatch(services.repository, settings.watch_seconds).start()


# What is loaded by now stays: the collector need not look at it again.
gc.collect()
gc.freeze()
gc.set_threshold(GARBAGE_THRESHOLD)


# Not a hook of gunicorn: this works under any server, and Python calls it after the
# threads that answer requests have ended.
@atexit.register
def close() -> None:
    """Send and count what is left, stop sweeping, then release the store."""
    tracing.stop()
    if services.engine.capture:
        services.engine.capture.stop()
    metrics.count_all()
    services.statistics.write()
    sweeper.stop()
    session_count.stop()
    services.engine.sessions.close()
