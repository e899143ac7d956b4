"""Connections beyond the limit, reserved for health calls.

A worker that has all the connections it takes still accepts a few more. Each of them
gets one answer: a health call its own, any other request 503. So an orchestrator does
not take a worker for dead because clients keep its connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from service.api.problems import answer_problem
from service.errors import Overloaded

if TYPE_CHECKING:
    from service.server.connection import Handler

# More than one for each prober of a machine; each lives for one request.
NUM_RESERVED = 16
HEALTH = "/v2/health/"

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Reserved:
    """The connections of a server beyond its limit, oldest first.

    Args:
        limit: Maximum number of connections that get every answer.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._handlers: dict[Handler, None] = {}

    def admit(self, handler: Handler, num_open: int) -> bool:
        """Take a connection in; return whether it is one of the reserved.

        The last place drops the oldest of them, so that silent clients cannot keep
        them all: a health call is sent as soon as its connection is open.

        Args:
            handler: Of the connection.
            num_open: Number of open connections, this one included.
        """
        if num_open <= self.limit:
            return False
        if len(self._handlers) >= NUM_RESERVED - 1:
            oldest = next(iter(self._handlers))
            oldest.hang_up()
            del self._handlers[oldest]
        self._handlers[handler] = None
        return True

    def discard(self, handler: Handler) -> None:
        """Forget a connection that has ended."""
        self._handlers.pop(handler, None)


def answer_health_only(
    app: App, environ: dict[str, Any], begin: Any
) -> Iterable[bytes]:
    """Answer the one request of a reserved connection, as a WSGI application."""
    if environ["PATH_INFO"].startswith(HEALTH):
        return app(environ, begin)
    answer = answer_problem(
        Overloaded(
            "all connections of this worker are in use (CARRYOVER_CONNECTIONS); the "
            "request was not applied. Send it again in a moment, and keep connections "
            "open for many requests."
        )
    )
    length = ("Content-Length", str(len(answer.body)))
    headers = [("Content-Type", answer.mimetype), length, *answer.headers.items()]
    begin(f"{answer.status} Service Unavailable", headers)
    return [answer.body]
