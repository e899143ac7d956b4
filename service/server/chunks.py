"""Framing of a body that comes in chunks, read strictly (RFC 9112, section 7.1).

A server that is lenient here ends a body elsewhere than a proxy in front of it, and
takes the rest for a request of somebody else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

MAX_LINE_BYTES = 8192
MAX_TRAILER_BYTES = 65536
TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
# 15 digits: more than a file can have, and no number of 64 bits overflows.
SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;" + TEXT + rb")?\r\n")
TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:" + TEXT + rb"\r\n")
END = b"\r\n"


class ChunkReader:
    """Reads the content of the chunks of one body.

    Args:
        rfile: What follows the head.

    Attributes:
        is_complete: Whether the last chunk and its trailers have been read.
    """

    def __init__(self, rfile: io.BufferedReader) -> None:
        self.is_complete = False
        self._rfile = rfile
        self._rest = 0  # of the chunk

    def read(self, length: int | None, by_line: bool) -> bytes:
        """Read a number of bytes, or all there are; fewer at the end only.

        Args:
            length: Maximum number of bytes; None for no maximum.
            by_line: Whether to end after a line feed.

        Raises:
            OSError: They are not chunks, or end early.
        """
        read_next = self._rfile.readline if by_line else self._rfile.read
        parts: list[bytes] = []
        while length is None or length > 0:
            part = self._read_part(read_next, length)
            parts.append(part)
            if not part or (by_line and part.endswith(b"\n")):
                break
            length = None if length is None else length - len(part)
        return b"".join(parts)

    def _read_part(
        self, read_next: Callable[[int], bytes], length: int | None
    ) -> bytes:
        """Read from one chunk; nothing after the last."""
        if not self._rest and not self.is_complete:
            self._begin_chunk()
        if self.is_complete:
            return b""
        part = read_next(self._rest if length is None else min(self._rest, length))
        if not part:
            raise OSError("the body ended within a chunk.")
        self._rest -= len(part)
        if not self._rest and self._rfile.read(2) != END:
            raise OSError("a chunk does not end where its size says.")
        return part

    def _begin_chunk(self) -> None:
        line = self._rfile.readline(MAX_LINE_BYTES)
        found = SIZE.fullmatch(line)
        if found is None:
            raise OSError(f"the size of a chunk is {line[:40]!r}; expected hex digits.")
        self._rest = int(found[1], 16)
        if not self._rest:
            self._read_trailers()
            self.is_complete = True

    def _read_trailers(self) -> None:
        """Read the headers after the last chunk; they mean nothing here."""
        room = MAX_TRAILER_BYTES
        while (line := self._rfile.readline(room)) != END:
            room -= len(line)
            if not TRAILER.fullmatch(line):
                raise OSError(f"a trailer is {line[:40]!r}; expected name: value.")
