"""gunicorn's configuration, from the service's own settings."""

from __future__ import annotations

import os

from service.settings import read_settings

_settings = read_settings(os.environ)

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.workers
worker_class = "gthread"
threads = _settings.threads
# Each worker loads TensorFlow by itself, after the fork.
preload_app = False
# A worker that answers nothing for this long is replaced; loading takes seconds.
timeout = 120
graceful_timeout = 20
# Idle connections are kept longer than most proxies keep theirs, so that the proxy
# closes first and no request meets a closing socket.
keepalive = 75
# Nobody talks to it, and several services of one user would share its one path.
control_socket_disable = True
# One line per request comes from service.access_log.
accesslog = None
errorlog = "-"
