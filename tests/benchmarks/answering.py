"""A server of a few lines, to try the harness's clients on."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager

READ_BYTES = 1 << 16


@contextmanager
def answering(reply):
    """Serve connections; every read is answered by `reply(bytes) -> bytes`.

    Yields:
        The port, and what has been read so far, one entry a read.
    """
    seen = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while data := self.request.recv(READ_BYTES):
                seen.append(data)
                self.request.sendall(reply(data))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], seen
        finally:
            server.shutdown()
            thread.join()


def whole_answer(status, body):
    """Write an HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
