"""Accepting of connections: choice of the worker, limits, answers to refused ones.

All workers see a connection that waits. Each lets it pass for some turns of its event
loop, the more the more connections it has, so that one with fewer takes it first.

A worker that has all the connections it takes still accepts a few more. Each of them
gets one answer: a health call its own, any other request 503. So an orchestrator does
not take a worker for dead because clients keep its connections.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Protocol

from service.api.problems import Answer, answer_problem
from service.errors import InvalidRequest, Overloaded

# A turn of an idle loop takes some microseconds; another worker needs dozens to wake.
TURNS_PER_CONNECTION = 10
# Turns of a busy loop are long, and then nobody is idle.
MAX_SECONDS = 1e-3
# More than one for each prober of a machine; each lives for one request.
NUM_RESERVED = 16
HEALTH = "/v2/health/"
App = Callable[[dict[str, Any], Any], Iterable[bytes]]
log = logging.getLogger(__name__)


class Passing:
    """Lets connections pass."""

    def __init__(self) -> None:
        self._turn = -1
        self._num_passed = 0
        self._since = 0.0

    def lets_pass(self, num_connections: int, turn: int, now: float) -> bool:
        """Return whether to leave a connection that waits to others, this turn.

        Args:
            num_connections: How many this worker has.
            turn: Of its event loop. A connection that still waits is seen each turn;
                after a turn without, it is another one.
            now: Seconds, by any clock that does not jump.
        """
        if turn != self._turn + 1:
            self._num_passed, self._since = 0, now
        self._turn = turn
        most = TURNS_PER_CONNECTION * num_connections
        if self._num_passed >= most or now - self._since >= MAX_SECONDS:
            self._turn = -1  # taken: the next one seen is another
            return False
        self._num_passed += 1
        return True


class Connection(Protocol):
    """A connection, as those who accept and end it see it."""

    def hang_up(self) -> None:
        """End it at once."""


class Reserved:
    """The connections of a server beyond its limit, oldest first.

    Args:
        limit: Maximum number of connections that get every answer.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._connections: dict[Connection, None] = {}

    def admit(self, connection: Connection, num_open: int) -> bool:
        """Take a connection in; return whether it is one of the reserved.

        The last place drops the oldest of them, so that silent clients cannot keep
        them all: a health call is sent as soon as its connection is open.

        Args:
            connection: The connection.
            num_open: Number of open connections, this one included.
        """
        if num_open <= self.limit:
            return False
        if len(self._connections) >= NUM_RESERVED - 1:
            oldest = next(iter(self._connections))
            oldest.hang_up()
            del self._connections[oldest]
        self._connections[connection] = None
        return True

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._connections.pop(connection, None)


class ConnectionServer(Protocol):
    """A server, as its connections see it; `worker.Server` describes its attributes."""

    waiting: dict[Any, float]
    reading: dict[Any, float]
    listening: dict[Any, float]
    sending: dict[Any, float]
    open: set[Any]
    reserved: Reserved
    is_stopping: bool
    takes_requests: bool

    def get_environ(self) -> dict[str, Any]:
        """Return what the environments of all requests share."""

    def expect_more(self) -> None:
        """Look for the next request for a moment before the core goes idle."""


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


def refuse(error: Exception, client: object) -> bytes:
    """Log and answer what is not a request, or could be taken for two.

    Args:
        error: Says what is wrong with it.
        client: Its address.
    """
    log.info("refused a request from %s: %s", client, error)
    detail = f"the request is not clear HTTP/1.1: {error} The connection is closed."
    return write_last(answer_problem(InvalidRequest(detail)))


def write_last(answer: Answer) -> bytes:
    """Write an answer after which the connection is closed."""
    status = HTTPStatus(answer.status)
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        f"Content-Type: {answer.mimetype}",
        f"Content-Length: {len(answer.body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + answer.body
