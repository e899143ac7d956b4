"""gunicorn's configuration for the Flask and WSGI peers: the service's own.

The same class and number of workers and threads, from the same settings, without the
service's hooks. So a peer differs from the service only in what its worker runs.
"""

from __future__ import annotations

import os

from service import gunicorn_config

SHARED = (
    "bind",
    "workers",
    "worker_class",
    "threads",
    "worker_connections",
    "backlog",
    "keepalive",
    "timeout",
    "control_socket_disable",
)

globals().update(
    {k: v for k, v in vars(gunicorn_config).items() if k in SHARED},
)
if os.environ.get("BENCH_NEEDS_THREADS"):
    # Keras is not re-entrant in one thread, so that it cannot be served with gevent.
    worker_class, threads = "gthread", 16
accesslog = None
errorlog = "-"
loglevel = "warning"
