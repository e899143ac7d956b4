"""gunicorn's gevent worker with fair accepting and bounded, orderly stops.

gevent's HTTP server keeps a connection for as long as its client does. So a stop would
wait for clients that only keep theirs open, until gunicorn's patience is over and the
worker is killed before it has closed the store; and silent clients, those that never
end a body, and those that never read an answer would hold connections for ever.
"""

from __future__ import annotations

import logging.config
import os
import platform
import socket
import sys
import time
from typing import Any

import gevent
from gevent.pool import Pool
from gunicorn.workers.ggevent import GeventPyWSGIWorker, PyWSGIServer

from service.common.loop import watch_clients
from service.errors import CarryoverError
from service.server.accepting import NUM_RESERVED, Passing, Reserved
from service.server.connection import Handler
from service.settings import read_settings

# Longer than most proxies keep theirs, so that the proxy closes first and no request
# meets a closing socket.
SILENT_SECONDS = 75.0
# A client that is gone without a word, such as one that lost its network, is noticed
# after two minutes: the first probe, the pause between probes, and how many.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
# Of a stop, with what is under way; gunicorn kills after twice as long.
STOP_TIMEOUT_SECONDS = 10.0
# Of a stop, with the next request of a connection, or the rest of its head.
REST_SECONDS = 1.0
# As long as a quick client on the same machine takes; paid by requests that come
# one at a time only.
POLL_SECONDS = 50e-6
# Between starts of a worker that cannot start.
RETRY_SECONDS = 5.0
LOWEST_PRIORITY = -2  # of libev
KEEP_LOGGERS = {"version": 1, "disable_existing_loggers": False}


class Server(PyWSGIServer):  # type: ignore[misc]
    """A listening socket and its connections.

    Attributes:
        waiting: Since when connections wait for a whole request, by
            `time.monotonic`.
        reading: Since when the body of a request is being read.
        listening: Since when the next line of a stream is being read.
        sending: Since when a client has taken nothing of its answer.
        open: All connections.
        reserved: Those of them that are beyond the limit.
        is_stopping: Whether each answer is the last of its connection.
        takes_requests: Whether one that comes on an open connection is answered.
    """

    def __init__(self, *args: Any, spawn: Pool, **kwargs: Any) -> None:
        self.reserved = Reserved(spawn.size)
        super().__init__(*args, spawn=Pool(spawn.size + NUM_RESERVED), **kwargs)
        probe_clients(self.socket)
        self.waiting: dict[Handler, float] = {}
        self.reading: dict[Handler, float] = {}
        self.listening: dict[Handler, float] = {}
        self.sending: dict[Handler, float] = {}
        self.open: set[Handler] = set()
        self.is_stopping = False
        self.takes_requests = True
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
        """Take no more connections, and one more request of each that is open.

        A client may be sending its next one at this moment: closed at once, it could
        not know whether that was applied.
        """
        self.is_stopping = True
        super().close()
        gevent.spawn_later(REST_SECONDS, self._end_waiting)
        gevent.spawn_later(STOP_TIMEOUT_SECONDS, self._end_all)

    def _end_waiting(self) -> None:
        """End connections without a request, or with a head that does not finish."""
        self.takes_requests = False
        for handler in list(self.waiting):
            handler.stop_reading()

    def _end_all(self) -> None:
        """End what would hold up the stop: bodies, streams, and unread answers."""
        for handler in list(self.open):
            handler.stop_reading()
        for handler in list(self.sending):
            handler.hang_up()

    def end_idle(self, now: float, body_seconds: float, line_seconds: float) -> None:
        """End connections on which nothing has come or gone for long.

        Args:
            now: By `time.monotonic`.
            body_seconds: How long a body may take.
            line_seconds: How long a line of a stream may take to come.
        """
        for handler in begun_before(self.listening, now - line_seconds):
            handler.end_reason = (
                f"no whole line came for {line_seconds:g} seconds "
                "(CARRYOVER_STREAM_IDLE_SECONDS)"
            )
            handler.stop_reading()
        for handler in begun_before(self.waiting, now - SILENT_SECONDS):
            handler.stop_reading()
        for handler in begun_before(self.reading, now - body_seconds):
            handler.stop_reading()
        for handler in begun_before(self.sending, now - SILENT_SECONDS):
            handler.hang_up()


def probe_clients(listener: Any) -> None:
    """Have the kernel probe silent clients; connections inherit it of the listener."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # Linux has them all
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def begun_before(since: dict[Handler, float], when: float) -> list[Handler]:
    """Find the handlers that have been at something since a moment, or longer."""
    return [handler for handler, began in since.items() if began <= when]


class Worker(GeventPyWSGIWorker):  # type: ignore[misc]
    """A process that serves."""

    server_class = Server
    wsgi_handler = Handler
    servers: list[Server] = []  # noqa: RUF012, one worker in a process

    def init_process(self) -> None:
        """Serve to the end, and close the log's handlers while there is a gevent."""
        try:
            super().init_process()
        finally:
            # Python's own end takes gevent apart first: each handler printed a trace.
            logging.config.dictConfig(KEEP_LOGGERS)

    def load_wsgi(self) -> None:
        """Load the application; where that fails, end after a pause.

        gunicorn ends all workers when one ends with its code of a failed start. With
        any other it starts another one, so the failed one waits here.
        """
        # Cached: the first import of TensorFlow asks for it, by a process that gevent
        # cannot start from the thread that loads a model.
        platform.processor()
        try:
            super().load_wsgi()
        except Exception as error:
            is_known = isinstance(error, (ValueError, OSError, CarryoverError))
            self.log.error(
                "worker cannot start, tried again in %.0f s: %s",
                RETRY_SECONDS,
                error,
                exc_info=not is_known,
            )
            self._pause(time.monotonic() + RETRY_SECONDS)
            sys.exit(1)

    def _pause(self, until: float) -> None:
        """Wait, living as far as gunicorn can see, until a stop or the end."""
        while time.monotonic() < until and self.alive and os.getppid() == self.ppid:
            super().notify()
            time.sleep(0.1)

    def run(self) -> None:
        """Serve until stopped."""
        watch_clients(lambda: sum(len(server.pool) for server in self.servers))
        settings = read_settings(os.environ)
        self.body_seconds = settings.request_timeout_seconds
        self.line_seconds = settings.stream_idle_seconds
        super().run()

    def notify(self) -> None:
        """Report this process alive to gunicorn, and end what clients leave idle."""
        super().notify()
        for server in self.servers:
            server.end_idle(time.monotonic(), self.body_seconds, self.line_seconds)
