"""gunicorn's gevent worker: whose connections end when they should, and are shared out.

gevent's HTTP server keeps a connection for as long as its client does. So a stop would
wait for clients that only keep theirs open, until gunicorn's patience is over and the
worker is killed before it has closed the store; and silent clients, and those that
never end a body, would hold connections for ever.
"""

from __future__ import annotations

import os
import time
from typing import Any

from gunicorn.workers.ggevent import GeventPyWSGIWorker, PyWSGIServer

from service.connection import Handler
from service.loop import watch_clients
from service.passing import Passing
from service.settings import read_settings

# Longer than most proxies keep theirs, so that the proxy closes first and no request
# meets a closing socket.
SILENT_SECONDS = 75.0
# As long as a quick client on the same machine takes; paid by requests that come
# one at a time only.
POLL_SECONDS = 50e-6
LOWEST_PRIORITY = -2  # of libev


class Server(PyWSGIServer):  # type: ignore[misc]
    """A listening socket and its connections.

    Attributes:
        waiting: Since when connections wait for a whole request, by
            `time.monotonic`.
        reading: Since when the body of a request is being read.
        is_stopping: Whether no more requests are taken.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: dict[Handler, float] = {}
        self.reading: dict[Handler, float] = {}
        self.is_stopping = False
        self._poll_until = 0.0
        # While started it keeps the loop awake, and is called when nothing else is.
        self._polling = self.loop.idle(priority=LOWEST_PRIORITY)
        self._passing = Passing()
        Worker.servers.append(self)

    def do_read(self) -> Any:
        """Accept a connection, unless it is left to a worker that has fewer."""
        if self.max_accept == 1:  # gevent's, where there are other workers
            passing, turn = self._passing, self.loop.iteration
            if passing.lets_pass(len(self.pool), turn, time.monotonic()):
                return None
        return super().do_read()

    def expect_more(self) -> None:
        """Look for the next request for a moment without letting the core go idle.

        A client that answers an answer at once is back before a core that went to
        sleep has woken up, with cold caches.
        """
        self._poll_until = time.monotonic() + POLL_SECONDS
        if not self._polling.active:
            self._polling.start(self._poll)

    def _poll(self) -> None:
        if time.monotonic() > self._poll_until:
            self._polling.stop()

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

    def stop_reading(self, since: float) -> None:
        """End the bodies that have been read since a moment, or longer."""
        for handler, began in list(self.reading.items()):
            if began <= since:
                handler.stop_reading()


class Worker(GeventPyWSGIWorker):  # type: ignore[misc]
    """A process that serves."""

    server_class = Server
    wsgi_handler = Handler
    servers: list[Server] = []  # noqa: RUF012, one worker in a process

    def run(self) -> None:
        """Serve until told to stop."""
        watch_clients(lambda: sum(len(server.pool) for server in self.servers))
        self.body_seconds = read_settings(os.environ).request_timeout_seconds
        super().run()

    def notify(self) -> None:
        """Tell gunicorn that this process lives, and hang up on silent clients."""
        super().notify()
        now = time.monotonic()
        for server in self.servers:
            server.hang_up(since=now - SILENT_SECONDS)
            server.stop_reading(since=now - self.body_seconds)
