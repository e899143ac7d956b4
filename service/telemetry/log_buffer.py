"""A log handler that writes many lines at once.

A line is written at once where none was for a while, or where it is a warning or
worse; the lines of a burst are written together, a fraction of a second later. Writing
each by itself costs a system call and a flush per request.
"""

from __future__ import annotations

import logging
import time
from typing import TextIO

from service.telemetry.debounce import DELAY_SECONDS, Debouncer


class BufferedLines(logging.Handler):
    """Writes formatted records to a stream.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []
        self._written_at = 0.0
        self._debouncer = Debouncer(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's line, and write what has waited long enough."""
        self.write(self.format(record))
        if record.levelno >= logging.WARNING:
            self.flush()

    def write(self, line: str) -> None:
        """Keep a line, and write what has waited long enough."""
        self._lines.append(line)
        if time.monotonic() - self._written_at >= DELAY_SECONDS:
            self.flush()
        else:
            self._debouncer.trigger()

    def flush(self) -> None:
        """Write the lines that wait."""
        self.acquire()
        try:
            self._written_at = time.monotonic()
            lines, self._lines = self._lines, []
            if lines:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
        finally:
            self.release()
