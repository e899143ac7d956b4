"""A client's connections, which it may cut in the middle of a request."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Literal, NamedTuple

# Longer than the service takes to give a row up: a client that gave up earlier would
# not know whether its row is still under way.
TIMEOUT_SECONDS = 60.0
# Closes a socket with a reset instead of a farewell.
RESET = struct.pack("ii", 1, 0)

Cut = Literal["sending", "reading"]


class Reply(NamedTuple):
    """An answer that was read to its end."""

    status: int
    body: bytes
    is_replayed: bool


class Wire:
    """Connections to services, one kept open to each.

    Args:
        ports: Where the services listen on this machine.
    """

    def __init__(self, ports: list[int]) -> None:
        self._connections = [
            HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS) for port in ports
        ]

    def post(
        self, service: int, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Reply | None:
        """Send a request and read its answer.

        Args:
            service: To which of the services.
            path: Address.
            body: Body.
            headers: Further headers.

        Returns:
            The answer; None where the connection broke.
        """
        connection = self._connections[service]
        try:
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            connection.close()
            return None
        is_replayed = response.headers.get("Idempotency-Replayed") == "true"
        return Reply(response.status, content, is_replayed)

    def cut(
        self,
        service: int,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        when: Cut,
        is_reset: bool,
    ) -> None:
        """Send a request and hang up, half-way or before its answer."""
        connection = self._connections[service]
        sent = body[: len(body) // 2] if when == "sending" else body
        try:
            connection.putrequest("POST", path)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(sent)
            if is_reset and connection.sock is not None:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except (OSError, HTTPException):
            pass  # it broke before it could be cut
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()
