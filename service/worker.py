"""gunicorn's gevent worker, with connections that end when they should.

gevent's HTTP server keeps a connection for as long as its client does. So a stop would
wait for clients that only keep theirs open, until gunicorn's patience is over and the
worker is killed before it has closed the store; and silent clients, and those that
never end a body, would hold connections for ever.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from email.message import Message
from typing import Any

from gevent.pywsgi import Input
from gunicorn.workers.ggevent import (
    GeventPyWSGIWorker,
    PyWSGIHandler,
    PyWSGIServer,
)

from service.framing import check_framing
from service.settings import read_settings

# Longer than most proxies keep theirs, so that the proxy closes first and no request
# meets a closing socket.
SILENT_SECONDS = 75.0


class Body(Input):  # type: ignore[misc]
    """A request's body; its server knows since when somebody reads it whole.

    Lines are read for as long as it takes: they are a conversation, not one request.

    Args:
        made: The body, as gevent made it.
        handler: Of its connection.
    """

    __slots__ = ("_handler",)

    def __init__(self, made: Input, handler: Handler) -> None:
        super().__init__(
            made.rfile, made.content_length, made.socket, made.chunked_input
        )
        self._handler = handler

    def read(self, length: int | None = None) -> bytes:
        """Read so much, or all there is."""
        content: bytes = self._time(super().read, length)
        return content

    def _discard(self) -> None:
        """Read what nobody wanted; gevent does, before the next request."""
        self._time(super()._discard)

    def _time(self, read: Callable[..., Any], *arguments: Any) -> Any:
        reading = self._handler.server.reading
        if self._handler in reading:
            return read(*arguments)
        reading[self._handler] = time.monotonic()
        try:
            return read(*arguments)
        except OSError:
            # What comes next on this connection is no request.
            self._handler.close_connection = True
            raise
        finally:
            del reading[self._handler]


class Handler(PyWSGIHandler):  # type: ignore[misc]
    """One connection; tells its server while it waits for a request."""

    def read_requestline(self) -> str:
        """Wait for the next request; there is none once the server is stopping."""
        if self.server.is_stopping:
            return ""
        self.server.waiting[self] = time.monotonic()
        line: str = super().read_requestline()
        return line

    def MessageClass(self, *args: Any) -> Message:
        """Read the headers, and refuse those that leave open where the body ends."""
        headers: Message = super().MessageClass(*args)
        check_framing(headers)
        return headers

    def get_environ(self) -> dict[str, Any]:
        """Describe a request."""
        environ: dict[str, Any] = super().get_environ()
        made = environ["wsgi.input"]
        if isinstance(made, Input) and (made.chunked_input or made.content_length):
            self.wsgi_input = environ["wsgi.input"] = Body(made, self)
        return environ

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

    def stop_reading(self) -> None:
        """Take the body for ended; its client may still hear so."""
        with contextlib.suppress(OSError, AttributeError):
            self.socket.shutdown(socket.SHUT_RD)


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
