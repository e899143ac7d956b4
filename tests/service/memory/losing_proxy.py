"""A proxy that loses a request or its answer, and closes the connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

BUFFER_BYTES = 1 << 20


class LosingProxy:
    """Carries connections to a port of this machine.

    Attributes:
        port: Where it listens.
        target: Where the server listens.
        num_lost: How many requests and answers it has lost.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.target = 0
        self.num_lost = 0
        self._word: bytes | None = None
        self._reaches_server = True
        self._before: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def lose_next(
        self, word: bytes, before: Callable[[], None], *, reaches_server: bool = True
    ) -> None:
        """Lose the next request that contains a word, or the answer to it.

        Args:
            word: What is in the request.
            before: Called when the server has answered, before the client notices.
            reaches_server: Whether the answer is lost; otherwise the request is.
        """
        self._before, self._reaches_server = before, reaches_server
        self._word = word

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                start(self._carry, client)

    def _carry(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self.target)) as server,
        ):
            is_lost = threading.Event()
            back = start(self._answer, server, client, is_lost)
            while request := client.recv(BUFFER_BYTES):
                if self._word is not None and self._word in request:
                    self._word = None
                    if not self._reaches_server:
                        self._close(client)
                        break
                    is_lost.set()
                server.sendall(request)
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _answer(
        self, server: socket.socket, client: socket.socket, is_lost: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(BUFFER_BYTES):
                if is_lost.is_set():
                    self._close(client)
                    return
                client.sendall(answer)

    def _close(self, client: socket.socket) -> None:
        self._before()
        self.num_lost += 1
        client.shutdown(socket.SHUT_RDWR)


def start(target: Callable[..., None], *arguments: object) -> threading.Thread:
    """Start a thread that does not outlive the tests."""
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
