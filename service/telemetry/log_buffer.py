"""A log handler that writes many lines at once.

A line is written at once where none was for a while, or where it is a warning or
worse; the lines of a burst are written together, a fraction of a second later. Writing
each by itself costs a system call and a flush per request.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from service.telemetry.debounce import DELAY_SECONDS, Debouncer

# A line, or what writes it: many that are written together take half the time.
Line = str | Callable[[], str]
# As many are written in a fraction of a millisecond, in which no request continues.
MAX_WAITING = 64


class BufferedLines(logging.Handler):
    """Writes formatted records to a stream.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[Line] = deque()
        self._written_at = 0.0
        self._debouncer = Debouncer(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's line, and write what has waited long enough."""
        self.write(self.format(record))
        if record.levelno >= logging.WARNING:
            self.flush()

    def write(self, line: Line) -> None:
        """Keep a line, or what writes it, and write what has waited long enough."""
        self._lines.append(line)
        is_due = time.monotonic() - self._written_at >= DELAY_SECONDS
        if is_due or len(self._lines) >= MAX_WAITING:
            self.flush()
        elif not self._debouncer.is_scheduled:
            self._debouncer.trigger()

    def flush(self) -> None:
        """Write the lines that wait."""
        self.acquire()
        try:
            self._written_at = time.monotonic()
            lines: list[str] = []
            while self._lines:
                line = self._lines.popleft()
                lines.append(line if isinstance(line, str) else line())
            if lines:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
        finally:
            self.release()
