"""The lines of a body as they come: read ahead a little, taken many at a time.

A thread reads while its taker works on what it took, and waits as soon as enough lines
wait: then the network slows the client down. Knows neither JSON nor rows.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, Protocol

from service.errors import BodyTooLarge, CarryoverError, InvalidRequest
from service.settings import MAX_WAITING_LINES

# Long lines, such as vectors: what waits stays small, however long they are. A lone
# line may be longer.
MAX_WAITING_BYTES = 128 * 1024
# A client that is gone fails the reading and the writing at once.
CLOSE_SECONDS = 5.0


class Source(Protocol):
    """A body, such as `wsgi.input`."""

    def readline(self, size: int, /) -> bytes:
        """Return a line or its first `size` bytes; nothing at the end."""


class Line(NamedTuple):
    """One line.

    Attributes:
        number: Which of the body's it is, from 1; empty ones count.
        content: What stands in it; or why that cannot be read.
    """

    number: int
    content: bytes | CarryoverError


class Lines:
    """Lines of one body.

    Args:
        source: The body.
        max_line_bytes: A longer line is skipped, and answered as an error.
        num_bytes: Length of the body, where it was announced: if it ends before, its
            last line is not whole.
    """

    def __init__(
        self, source: Source, max_line_bytes: int, num_bytes: int | None = None
    ) -> None:
        self._source = source
        self._max_line_bytes = max_line_bytes
        self._num_bytes = num_bytes
        self._waiting: deque[Line] = deque()
        self._num_read = 0  # bytes; each count has one writer
        self._num_taken = 0
        self._is_over = False
        self._is_closed = False
        self._came = threading.Event()
        self._room = threading.Event()
        # Under gevent a greenlet.
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self) -> list[Line]:
        """Take all lines that wait, and wait for one if none does; none at the end."""
        while True:
            eof = self._is_over
            taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if taken or eof:
                self._num_taken += sum(count_bytes(line) for line in taken)
                self._room.set()
                return taken
            self._came.wait()
            # Before looking again: what comes from here on sets it again.
            self._came.clear()

    def close(self) -> None:
        """Stop reading."""
        self._is_closed = True
        self._room.set()
        self._thread.join(CLOSE_SECONDS)

    def _read(self) -> None:
        number = 0
        try:
            while not self._is_closed and (content := self._read_line()):
                number += 1
                if isinstance(content, CarryoverError) or not content.isspace():
                    self._put(Line(number, content))
        except (OSError, ValueError) as error:  # a lost connection, a broken chunk
            self._put(Line(number + 1, cut(number, str(error))))
        finally:
            self._is_over = True
            self._came.set()

    def _read_line(self) -> bytes | CarryoverError:
        """Read the next line.

        Raises:
            OSError: The body ended within it.
        """
        size = self._max_line_bytes + 1
        line = self._read_piece(size)
        if line.endswith(b"\n") or (line and len(line) < size and self._is_whole()):
            return line
        if len(line) == size:
            while len(line) == size and not line.endswith(b"\n"):
                line = self._read_piece(size)
            return too_long(self._max_line_bytes)
        if not self._is_whole():
            raise OSError(f"it ended after {self._num_read} of {self._num_bytes} bytes")
        return b""

    def _read_piece(self, size: int) -> bytes:
        piece = self._source.readline(size)
        self._num_read += len(piece)
        return piece

    def _is_whole(self) -> bool:
        return self._num_bytes is None or self._num_read >= self._num_bytes

    def _put(self, line: Line) -> None:
        """Let a line wait to be taken, and wait oneself while enough do."""
        self._waiting.append(line)
        if not self._came.is_set():
            self._came.set()
        while self._is_full() and not self._is_closed:
            self._room.clear()
            if self._is_full() and not self._is_closed:
                self._room.wait()

    def _is_full(self) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= MAX_WAITING_LINES
            or self._num_read - self._num_taken >= MAX_WAITING_BYTES
        )


def count_bytes(line: Line) -> int:
    """Count what a line takes."""
    return len(line.content) if isinstance(line.content, bytes) else 0


def too_long(max_bytes: int) -> BodyTooLarge:
    """Return the error of a line that is too long."""
    return BodyTooLarge(
        f"the line is longer than {max_bytes} bytes, and was skipped. Split its events "
        "over several lines of a session.",
        max_body_bytes=max_bytes,
    )


def cut(number: int, reason: str) -> InvalidRequest:
    """Return the error of a body that broke off."""
    return InvalidRequest(
        f"the body broke off after line {number}: {reason[:200]}. Nothing of what came "
        "after it was applied; send it again."
    )
