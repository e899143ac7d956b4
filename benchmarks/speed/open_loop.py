"""An open loop: requests arrive at random times, the last one answered or not.

wrk waits for each answer before it asks again, so a slow server is asked less and its
delays go uncounted. Here a request is due at a time drawn before, and its latency
counts from then.
"""

from __future__ import annotations

import gc
import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

from benchmarks.speed.access import HEADER
from benchmarks.speed.wrk import LoadError

READ_BYTES = 1 << 16
LENGTH = b"content-length:"
# A server so far behind has broken down; what it answers then says nothing.
MAX_BACKLOG = 10_000


class OpenRun(NamedTuple):
    """What an open loop measured: the median and the slowest hundredth, in seconds."""

    p50_seconds: float
    p99_seconds: float


class Connection:
    """One kept-alive connection, and the requests of its own sessions.

    Args:
        port: Where the server listens.
        bodies: Requests, sent in turn for ever.
    """

    def __init__(self, port: int, path: str, bodies: Sequence[str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests = cycle([format_request(path, body) for body in bodies])
        self.answer = b""
        self.due = 0.0

    def ask(self, due: float) -> None:
        """Send the next request, which was due at a time that may have passed."""
        self.due = due
        self.answer = b""
        self.socket.sendall(next(self.requests))

    def is_answered(self) -> bool:
        """Read what has come; whether the answer is whole.

        Raises:
            LoadError: The answer is an error, or the connection was closed.
        """
        came = self.socket.recv(READ_BYTES)
        self.answer += came
        if not came or not b"HTTP/1.1 200".startswith(self.answer[:12]):
            raise LoadError(f"the answer is {self.answer[:200]!r}; expected a 200.")
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return False
        length = head.lower().partition(LENGTH)[2].partition(b"\r")[0]
        return len(body) >= int(length)


def format_request(path: str, body: str) -> bytes:
    """Write a whole HTTP request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: {HEADER}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def run_open_loop(
    port: int,
    path: str,
    sessions: Sequence[Sequence[str]],
    *,
    rate: float,
    connections: int,
    seconds: float,
) -> OpenRun:
    """Send requests at random times over connections that are free.

    Args:
        port: Where the server listens.
        path: What is posted to.
        sessions: Bodies of each session; one connection visits a session, and visits
            its sessions in turn.
        rate: Arrivals per second.
        connections: How many requests may be under way.
        seconds: How long requests arrive.

    Raises:
        LoadError: The server answers errors or cannot follow.
    """
    shares = [sessions[k::connections] for k in range(connections)]
    opened = [
        Connection(
            port, path, [body for visit in zip(*share, strict=True) for body in visit]
        )
        for share in shares
    ]
    gc.disable()  # its pauses would count as the server's
    try:
        latencies = sorted(follow(arrivals(rate, seconds), opened))
    finally:
        gc.enable()
        for connection in opened:
            connection.socket.close()
    p99 = latencies[int(0.99 * len(latencies))]
    return OpenRun(latencies[len(latencies) // 2], p99)


def arrivals(rate: float, seconds: float) -> deque[float]:
    """Draw when requests are due, in seconds from the beginning."""
    rng = random.Random(7)
    due, times = 0.0, deque[float]()
    while due < seconds:
        times.append(due)
        due += rng.expovariate(rate)
    return times


def follow(due: deque[float], connections: list[Connection]) -> Iterator[float]:
    """Ask when requests are due, and yield how late each was answered.

    Raises:
        LoadError: Too many requests wait for a free connection.
    """
    began, free = time.perf_counter(), deque(connections)
    busy: dict[int, Connection] = {}
    while due or busy:
        now = time.perf_counter() - began
        while due and free and due[0] <= now:
            connection = free.popleft()
            connection.ask(due.popleft())
            busy[connection.socket.fileno()] = connection
        # Not epoll: its timeout is in milliseconds, and a request may be due sooner.
        wait = max(0.0, due[0] - now) if due and free else None
        for number in select.select(list(busy), (), (), wait)[0]:
            if busy[number].is_answered():
                connection = busy.pop(number)
                yield time.perf_counter() - began - connection.due
                free.append(connection)
        if len(due) > MAX_BACKLOG and due[MAX_BACKLOG] < now:
            raise LoadError("the server cannot follow: ever more requests wait.")
