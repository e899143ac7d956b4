"""A client that sends bytes and reads the answers until the connection ends."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
from typing import NamedTuple


class Answer(NamedTuple):
    """One answer; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


class Bytes(io.BytesIO):
    """Stands for a socket where `http.client` wants one to make a file of."""

    def makefile(self, mode: str) -> Bytes:
        """Return itself; `mode` is always rb."""
        return self

    def close(self) -> None:
        """Stay open: the next answer is read from it too."""


def send_bytes(port: int, sent: bytes, timeout_seconds: float) -> bytes:
    """Send bytes, and return all that comes back until the server closes.

    Raises:
        TimeoutError: It does not close within `timeout_seconds` of its last byte.
    """
    received = b""
    with socket.create_connection(
        ("127.0.0.1", port), timeout=timeout_seconds
    ) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            while block := client.recv(65536):
                received += block
    return received


def split_answers(received: bytes) -> list[Answer]:
    """Read the answers one after another, interim ones left out."""
    stream, answers = Bytes(received), []
    while stream.tell() < len(received):
        response = http.client.HTTPResponse(stream)  # type: ignore[arg-type]
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        answers.append(Answer(response.status, headers, response.read()))
    return answers
