"""One connection: requests in, answers out, on gevent's HTTP server.

gevent's own reading of heads and writing of answers took a third of a small request
(ARCHITECTURE.md): the standard library's e-mail parser reads the headers, and an
answer takes three calls of the system. Here llhttp reads, and an answer takes one.
"""

from __future__ import annotations

import contextlib
import io
import socket
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from gevent import get_hub
from gevent.pywsgi import Input, format_date_time, unquote_latin1
from gunicorn.workers.ggevent import PyWSGIHandler

from service.api.responses import answer_crash
from service.common.loop import look_up
from service.server.accepting import (
    App,
    ConnectionServer,
    answer_health_only,
    refuse,
    write_last,
)
from service.server.framing import MAX_LINE_BYTES, ChunkReader, Head, read_head

# Copying this much after a head takes as long as another call of the system.
SMALL_BYTES = 65536
EMPTY_LINE = b"\r\n"
READ = 1  # what a watcher of libev waits for


class Inbound(io.RawIOBase):
    """Receiving side of a connection.

    gevent reads first and waits where there is nothing. A client as quick as the
    service would then be read over and over while others wait: so here the event loop
    comes before each read.

    Args:
        sock: The connection's socket.

    Attributes:
        num_reads: How often it was read.
        is_over: Set where nothing more is to be read, whatever comes.
        is_paused: Set where nothing is to be read now.
    """

    def __init__(self, sock: Any) -> None:
        self.num_reads = 0
        self.is_over = self.is_paused = False
        self._socket = sock
        self._hub = get_hub()
        self._is_readable = self._hub.loop.io(sock.fileno(), READ)

    def readable(self) -> bool:
        """Return what `io.BufferedReader` asks first."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, at least a byte; 0 at the end, None while paused."""
        if self.is_paused:
            return None
        self.num_reads += 1
        if not self.is_over:
            self._hub.wait(self._is_readable)
        if self.is_over:
            return 0
        num_bytes: int = self._socket.recv_into(buffer)
        return num_bytes

    def close(self) -> None:
        """Stop waiting; the socket is its owner's to close."""
        if not self.closed:
            self._is_readable.close()
        super().close()


class Body(Input):  # type: ignore[misc]
    """A request's body; its server knows since when it is read.

    Lines are a conversation, not one request: each has its own, longer time.

    Args:
        handler: Of its connection.
        head: What stood before it.
    """

    __slots__ = ("_chunks", "_handler")

    def __init__(self, handler: Handler, head: Head) -> None:
        expected = head.variables.get("HTTP_EXPECT", "").lower()
        is_asked_for = expected == "100-continue" and head.version != "1.0"
        super().__init__(
            handler.rfile,
            head.length,
            handler.socket if is_asked_for else None,
            head.is_chunked,
        )
        self._handler = handler
        self._chunks = ChunkReader(handler.rfile)

    def read(self, length: int | None = None) -> bytes:
        """Read a number of bytes, or all there is."""
        content: bytes = self._watched(super().read, length)
        return content

    def readline(self, size: int | None = None) -> bytes:
        """Read the next line of a stream.

        Raises:
            OSError: It did not come whole; or not in the time it has, says the error.
        """
        listening = self._handler.server.listening
        listening[self._handler] = time.monotonic()
        try:
            line: bytes = super().readline(size)
        except OSError as error:
            raise OSError(self._handler.end_reason or str(error)) from error
        finally:
            listening.pop(self._handler, None)
        if self._handler.end_reason:
            raise OSError(self._handler.end_reason)
        return line

    def take_lines(self) -> list[bytes]:
        """Take further whole lines that have come already; waits for nothing.

        Of chunks, the way of those who send lines as they arise.
        """
        if not self.chunked_input or self._handler.end_reason:
            return []
        lines = self._chunks.take_lines(self._handler.peek())
        return io.BytesIO(lines).readlines() if lines else []

    def stop(self) -> None:
        """Take what has come for all there is."""
        self._handler.stop_reading()

    def _chunked_read(
        self, length: int | None = None, use_readline: bool = False
    ) -> bytes:
        """Read from chunks; gevent's reading takes what other servers do not."""
        self._send_100_continue()
        try:
            return self._chunks.read(length, use_readline)
        except OSError:
            self._chunked_input_error = True  # type: ignore[misc]
            raise

    def _discard(self) -> None:
        """Read what nobody wanted; gevent does, before the next request."""
        if self.chunked_input or self.position < (self.content_length or 0):
            self._watched(super()._discard)

    def _watched(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """Read, and end the connection where that fails."""
        reading = self._handler.server.reading
        if self._handler in reading:  # `_discard` reads by `read`
            return read(*arguments)
        reading[self._handler] = time.monotonic()
        try:
            return read(*arguments)
        except (OSError, ValueError) as error:
            # What comes next on this connection is no request.
            self._handler.close_connection = True
            raise OSError(str(error)) from error
        finally:
            del reading[self._handler]


class Handler(PyWSGIHandler):  # type: ignore[misc]
    """Reads the requests of one connection and sends their answers.

    Attributes:
        end_reason: Why its server has ended the reading; empty for no certain reason.
    """

    server: ConnectionServer
    application: App
    rfile: io.BufferedReader
    provided_date: bytes | None

    def __init__(self, sock: Any, address: Any, server: ConnectionServer) -> None:
        self._inbound = Inbound(sock)
        self._num_reads = 0  # before the request
        self._line = b""
        self._head = Head()
        self._is_reserved = False
        self.end_reason = ""
        super().__init__(sock, address, server, io.BufferedReader(self._inbound))

    def read_requestline(self) -> str:
        """Wait for the next request, unless the server has stopped."""
        if not self.server.takes_requests:
            return ""
        self.server.waiting[self] = time.monotonic()
        self._num_reads = self._inbound.num_reads
        self._line = self.rfile.readline(MAX_LINE_BYTES)
        if self._num_reads == self._inbound.num_reads:  # it came with the one before
            look_up()
        if self._line == EMPTY_LINE:  # some clients send one after a body
            self._line = self.rfile.readline(MAX_LINE_BYTES)
        line: str = self._line.decode("latin-1")
        return line

    def read_request(self, raw_requestline: str) -> bool:
        """Read the rest of a head; its line is kept unchanged.

        Raises:
            ValueError: It is not a head, or leaves open where the body ends.
        """
        head = self._head = read_head(self._line, self.rfile.readline)
        self.request_version = f"HTTP/{head.version}"
        self.close_connection = not head.is_kept_alive
        return True

    def get_environ(self) -> dict[str, Any]:
        """Describe a request, as PEP 3333 has it."""
        head = self._head
        path, _, query = head.target.partition("?")
        self.wsgi_input = Body(self, head)
        environ: dict[str, Any] = self.server.get_environ()
        environ |= head.variables
        environ |= {
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_latin1(path),
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": self.request_version,
            "RAW_URI": head.target,
            "wsgi.input": self.wsgi_input,
            "wsgi.input_terminated": True,
        }
        if isinstance(self.client_address, tuple):  # none on a socket in a file system
            host, port, *_ = self.client_address
            environ |= {"REMOTE_ADDR": host, "REMOTE_PORT": str(port)}
        return environ

    def run_application(self) -> None:
        """Answer a request: from here on it takes as long as it takes."""
        self.server.waiting.pop(self, None)
        if self._is_reserved:
            self.close_connection = True
            self.application = partial(answer_health_only, self.application)
        super().run_application()

    def finalize_headers(self) -> None:
        """Complete the answer's headers; the date is written once a second."""
        if self.provided_date is None:
            self.provided_date = format_date(int(time.time()))
            self.response_headers.append((b"Date", self.provided_date))
        if self.server.is_stopping:
            self.close_connection = True
        names = (name.lower() for name, _ in self.response_headers)
        if self.close_connection and b"connection" not in names:
            self.response_headers.append((b"Connection", b"close"))
        super().finalize_headers()

    def _write_with_headers(self, data: bytes) -> None:
        """Begin the answer: its head and, where it is small, all of its body."""
        self.headers_sent = True
        self.finalize_headers()
        lines = [b"HTTP/1.1 " + self.status]
        lines += [name + b": " + value for name, value in self.response_headers]
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        if self.response_use_chunked or len(data) > SMALL_BYTES:
            self._sendall(head)
            self._write(data)
        else:
            self._sendall(head + data if data else head)  # gevent's nothing is a str

    def _sendall(self, data: bytes) -> None:
        """Send bytes; the server knows since when the client has taken none.

        gevent would first ask the kernel how much it takes at once.
        """
        rest = memoryview(data)
        try:
            while rest:
                self.server.sending[self] = time.monotonic()
                sent = self.socket.send(rest)
                self.response_length += sent
                rest = rest[sent:]
        finally:
            self.server.sending.pop(self, None)

    def log_request(self) -> None:
        """Take note that an answer was sent: gevent calls this then, for a log."""
        self.server.expect_more()

    def handle(self) -> None:
        """Serve the connection to its end."""
        server = self.server
        server.open.add(self)
        self._is_reserved = server.reserved.admit(self, len(server.open))
        try:
            with contextlib.suppress(ConnectionError):  # nobody hears the answer
                super().handle()
        finally:
            server.open.discard(self)
            server.reserved.discard(self)
            self.server.waiting.pop(self, None)
            self._inbound.close()

    def _handle_client_error(self, ex: Exception) -> Any:
        """Log what is no request; a client that is gone within it is no error."""
        if isinstance(ex, ConnectionError):
            return None
        return "400", refuse(ex, self.client_address)

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """Answer a defect between the server and the application, if nothing was."""
        self.close_connection = True
        answer = answer_crash(error, "none: it failed outside the application")
        if not self.response_length:
            with contextlib.suppress(OSError):
                self.socket.sendall(write_last(answer))

    def peek(self) -> bytes:
        """Return what has been read from the socket and not been used."""
        self._inbound.is_paused = True
        try:
            return self.rfile.peek()
        finally:
            self._inbound.is_paused = False

    def stop_reading(self) -> None:
        """Take what was read for all there is; the client may still hear so."""
        # First: what comes from here on must not be applied; its answer might be lost.
        self._inbound.is_over = True
        with contextlib.suppress(OSError, AttributeError):  # it has ended already
            self.socket.shutdown(socket.SHUT_RD)

    def hang_up(self) -> None:
        """End the connection, whatever is under way on it."""
        with contextlib.suppress(OSError, AttributeError):
            self.socket.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=1)
def format_date(second: int) -> bytes:
    """Write an instant as HTTP does, once a second."""
    return bytes(format_date_time(second))
