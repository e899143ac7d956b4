"""Log lines as JSON, so that one parser reads all, and the handler that buffers them.

A line is written at once where none was for a while, or where it is a warning or
worse; the lines of a burst are written together, a fraction of a second later. Writing
each by itself costs a system call and a flush per request.

A line that cannot be written costs no request its answer: it is counted, and the number
is written with the next line that can be.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from service.common.loop import DELAY_SECONDS, Debouncer
from service.common.text import format_time

# A line, or what writes it: many that are written together take half the time.
Line = str | Callable[[], str]
# As many are written in a fraction of a millisecond, in which no request continues.
MAX_WAITING = 64


class BufferedLines(logging.Handler):
    """Writes formatted records to a stream.

    Args:
        stream: Receives the lines.

    Attributes:
        stream: The same; another may take its place, as of `logging.StreamHandler`.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._lines: deque[Line] = deque()
        self._written_at = 0.0
        self._num_lost = 0
        self._reason: Exception | None = None
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
        """Write the lines that wait; those that cannot be written are counted."""
        self.acquire()
        try:
            self._written_at = time.monotonic()
            lines: list[str] = []
            while self._lines:
                self._read(self._lines.popleft(), lines)
            if lines:
                self._print(lines)
        finally:
            self.release()

    def _read(self, line: Line, lines: list[str]) -> None:
        """Add a line's text to others."""
        try:
            lines.append(line if isinstance(line, str) else line())
        except Exception as error:
            self._lose(1, error)

    def _print(self, lines: list[str]) -> None:
        """Write lines to the stream, after the number of those that were lost."""
        lost = self._num_lost
        if lost:
            message = f"{lost} log lines were lost: {self._reason}"
            note = {"msg": message, "levelname": "WARNING", "process": os.getpid()}
            lines = [self.format(logging.makeLogRecord(note)), *lines]
        try:
            self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
        except (OSError, ValueError) as error:  # no room, no reader, not UTF-8, closed
            self._lose(len(lines) - bool(lost), error)
        else:
            self._num_lost = 0

    def _lose(self, number: int, error: Exception) -> None:
        self._num_lost += number
        self._reason = error


class JsonLine(logging.Formatter):
    """Formatter that writes a record as one JSON object on one line.

    Its members are `time` (ISO 8601 in UTC), `level`, `process` (its id), `message`
    and, where there was an exception, `trace`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, object] = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
