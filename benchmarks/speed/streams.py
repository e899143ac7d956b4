"""A client of `:stream`: lines in and answers out, at the same time.

Sends whole blocks of lines that were written before, and counts the answers, so that
little of the machine is the client's. Does not parse what it is answered.
"""

from __future__ import annotations

import selectors
import socket
import time

from benchmarks.model import EVENTS
from benchmarks.speed.access import HEADER
from benchmarks.speed.wire import dump
from benchmarks.speed.wrk import LoadError

# Two workers; which gets a connection is chance, so there are some more.
NUM_STREAMS = 8
SESSIONS_PER_STREAM = 256
READ_BYTES = 1 << 18
# Lines of a stream that may be unanswered: enough that the service never waits for
# lines, few enough that the answers are soon all there when time is up.
MAX_UNANSWERED = 2048
# What may still be under way when time is up.
TIMEOUT_SECONDS = 20.0
LINE_END = b"}\n"
# In the answer to a line that was refused.
REFUSAL = b'"error"'
LAST_CHUNK = b"0\r\n\r\n"


class Stream:
    """One connection: blocks of lines to send, and a count of those answered.

    Args:
        port: Where the service listens.
        path: The model's stream.
        number: Sets its sessions apart from other streams'.
    """

    def __init__(self, port: int, path: str, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {HEADER}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        self.socket.setblocking(False)
        self.blocks = [format_block(number, event) for event in EVENTS]
        self.num_blocks = 0
        self.unsent = memoryview(b"")
        self.num_answers = 0
        self.last = b""

    @property
    def num_unanswered(self) -> int:
        """Lines that were sent, or are being sent, and not answered."""
        return self.num_blocks * SESSIONS_PER_STREAM - self.num_answers

    def send(self) -> None:
        """Send as much as the service takes, a block at a time."""
        if not self.unsent and self.num_unanswered < MAX_UNANSWERED:
            block = self.blocks[self.num_blocks % len(self.blocks)]
            self.unsent = memoryview(block)
            self.num_blocks += 1
        if self.unsent:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def receive(self) -> bool:
        """Count the answers that have come; false when the stream has ended.

        Raises:
            LoadError: The service refuses the stream, or a line.
        """
        came = self.socket.recv(READ_BYTES)
        is_refused = not self.last and not came.startswith(b"HTTP/1.1 200")
        if is_refused or REFUSAL in came:
            raise LoadError(f"the stream is answered {came[:300]!r}; expected a 200.")
        # A line's end may be split between two reads.
        self.num_answers += (self.last[-1:] + came).count(LINE_END)
        self.last = came
        return bool(came)

    @property
    def wants(self) -> int:
        """The events of a selector that it waits for."""
        if self.unsent or self.num_unanswered < MAX_UNANSWERED:
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        return selectors.EVENT_READ


def format_block(number: int, event: str) -> bytes:
    """Write an event of each of a stream's sessions, as one chunk of HTTP."""
    rows = (
        {"sequence": [event], "session": f"stream-{number}-{session}"}
        for session in range(SESSIONS_PER_STREAM)
    )
    lines = "".join(f"{dump(row)}\n" for row in rows).encode()
    return b"%x\r\n%s\r\n" % (len(lines), lines)


def run_streams(port: int, path: str, *, seconds: float) -> float:
    """Send lines through streams for a while; return answers per second.

    Raises:
        LoadError: A stream was refused or ended early, or answers are missing.
    """
    streams = [Stream(port, path, number) for number in range(NUM_STREAMS)]
    try:
        began = time.perf_counter()
        exchange(streams, seconds)
        answers = sum(stream.num_answers for stream in streams)
        took = time.perf_counter() - began
        finish(streams)
    finally:
        for stream in streams:
            stream.socket.close()
    return answers / took


def exchange(streams: list[Stream], seconds: float) -> None:
    """Send and count until time is up.

    Raises:
        LoadError: A stream ended before.
    """
    deadline = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.socket, stream.wants, stream)
        while (left := deadline - time.perf_counter()) > 0:
            for key, ready in selector.select(left):
                stream = key.data
                if ready & selectors.EVENT_WRITE:
                    stream.send()
                if ready & selectors.EVENT_READ and not stream.receive():
                    raise LoadError("a stream ended before its lines did.")
                if stream.wants != key.events:
                    selector.modify(stream.socket, stream.wants, stream)


def finish(streams: list[Stream]) -> None:
    """End the lines, and see that every one is answered.

    Raises:
        LoadError: Some are not.
    """
    for stream in streams:
        stream.socket.settimeout(TIMEOUT_SECONDS)
        stream.socket.sendall(bytes(stream.unsent) + LAST_CHUNK)
        while stream.num_unanswered and stream.receive():
            pass
        if stream.num_unanswered:
            raise LoadError(f"{stream.num_unanswered} lines were never answered.")
