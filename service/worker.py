"""gunicorn's gevent worker, with connections that end when they should.

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
from service.settings import read_settings

# Longer than most proxies keep theirs, so that the proxy closes first and no request
# meets a closing socket.
SILENT_SECONDS = 75.0
# Of an idle event loop, some microseconds each: another's wakes up within dozens.
TURNS_PER_CONNECTION, MAX_TURNS = 10, 200
IDLE_SECONDS = 1e-3
# As long as a quick client on the same machine takes; paid by requests that come
# one at a time only.
BUSY_SECONDS = 50e-6


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
        watch_clients(lambda: len(self.pool))
        self.is_stopping = False
        self._busy_until = 0.0
        self._busy = self.loop.idle(priority=-2)  # runs when nothing else does
        self._num_passed, self._looked = 0, 0.0
        Worker.servers.append(self)

    def do_read(self) -> Any:
        """Accept a connection, unless a worker that has fewer takes it first.

        All workers see it at once, and each lets it pass for some turns of its event
        loop; not where those are long because it is busy.
        """
        now = time.monotonic()
        is_idle = now - self._looked < IDLE_SECONDS
        self._looked = now
        most = min(TURNS_PER_CONNECTION * len(self.pool), MAX_TURNS)
        if self._num_passed < most and (is_idle or not self._num_passed):
            self._num_passed += 1
            return None
        self._num_passed = 0
        return super().do_read()

    def expect_more(self) -> None:
        """Look for the next request for a moment without letting the core go idle.

        A client that answers an answer at once is back before a core that went to
        sleep has woken up, with cold caches.
        """
        self._busy_until = time.monotonic() + BUSY_SECONDS
        if not self._busy.active:
            self._busy.start(self._look)

    def _look(self) -> None:
        if time.monotonic() > self._busy_until:
            self._busy.stop()

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
        self.body_seconds = read_settings(os.environ).request_timeout_seconds
        super().run()

    def notify(self) -> None:
        """Tell gunicorn that this process lives, and hang up on silent clients."""
        super().notify()
        now = time.monotonic()
        for server in self.servers:
            server.hang_up(since=now - SILENT_SECONDS)
            server.stop_reading(since=now - self.body_seconds)
