"""The socket alone: answers whatever comes with the same bytes: `... canned PORT`.

A thread per connection, no parsing: what is left is the network stack, the load
generator and the interpreter that reads and writes.
"""

from __future__ import annotations

import socketserver
import sys

READ_BYTES = 1 << 16
# As long as the service's answer to a single event.
BODY = b" " * 600
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Canned(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer every read."""
        while self.request.recv(READ_BYTES):
            self.request.sendall(ANSWER)


class Server(socketserver.ThreadingTCPServer):
    """The listening socket."""

    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Canned).serve_forever()
