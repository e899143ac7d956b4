"""gunicorn's gevent worker, with connections that end when they should.

gevent's HTTP server keeps a connection for as long as its client does. So a stop would
wait for clients that only keep theirs open, until gunicorn's patience is over and the
worker is killed before it has closed the store; and silent clients would hold
connections for ever.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from gunicorn.workers.ggevent import (
    GeventPyWSGIWorker,
    PyWSGIHandler,
    PyWSGIServer,
)

# Longer than most proxies keep theirs, so that the proxy closes first and no request
# meets a closing socket.
SILENT_SECONDS = 75.0


class Handler(PyWSGIHandler):  # type: ignore[misc]
    """One connection; tells its server while it waits for a request."""

    def read_requestline(self) -> str:
        """Wait for the next request; there is none once the server is stopping."""
        if self.server.is_stopping:
            return ""
        self.server.waiting[self] = time.monotonic()
        line: str = super().read_requestline()
        return line

    def run_application(self) -> None:
        """Answer a request: from here on it takes as long as it takes."""
        self.server.waiting.pop(self, None)
        super().run_application()

    def handle(self) -> None:
        """Serve the connection to its end."""
        try:
            super().handle()
        finally:
            self.server.waiting.pop(self, None)

    def hang_up(self) -> None:
        """End the connection while nothing is being answered on it."""
        with contextlib.suppress(OSError, AttributeError):  # it has ended already
            self.socket.shutdown(socket.SHUT_RDWR)


class Server(PyWSGIServer):  # type: ignore[misc]
    """A listening socket and its connections.

    Attributes:
        waiting: Since when connections wait for a whole request, by
            `time.monotonic`.
        is_stopping: Whether no more requests are taken.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: dict[Handler, float] = {}
        self.is_stopping = False
        Worker.servers.append(self)

    def close(self) -> None:
        """Take no more connections and requests."""
        self.is_stopping = True
        super().close()
        self.hang_up(since=time.monotonic())

    def hang_up(self, since: float) -> None:
        """End the connections that have waited since a moment, or longer."""
        for handler, began in list(self.waiting.items()):
            if began <= since:
                handler.hang_up()


class Worker(GeventPyWSGIWorker):  # type: ignore[misc]
    """A process that serves."""

    server_class = Server
    wsgi_handler = Handler
    servers: list[Server] = []  # noqa: RUF012, one worker in a process

    def notify(self) -> None:
        """Tell gunicorn that this process lives, and hang up on silent clients."""
        super().notify()
        for server in self.servers:
            server.hang_up(since=time.monotonic() - SILENT_SECONDS)
