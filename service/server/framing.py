"""Framing of a request: its head, read by Node's own parser, and a body in chunks.

llhttp, through httptools, reads in two microseconds what the standard library's parser
of e-mail takes thirty for, and refuses what servers read differently: folded lines,
bare line feeds, two lengths, a length next to chunks (request smuggling; RFC 9112,
sections 2.2, 5.2, 6.1, 6.3). A body that comes in chunks is read as strictly (section
7.1): a server that is lenient there ends a body elsewhere than a proxy in front of it,
and takes the rest for a request of somebody else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

# gevent refuses a line of 8192 bytes by itself, without a document.
MAX_LINE_BYTES = 8191
MAX_HEAD_BYTES = 65536
# One space between the parts, which llhttp does not insist on, and no fragment.
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21\x22\x24-\x7e]+ HTTP/1\.[01]\r\n")
# Of a target that names its host (RFC 9112, section 3.2.2).
ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.~!$&'()*+;=%_-]*)(?::[0-9]{0,5})?")
ENDS = (b"\r\n", b"\n", b"")
# Without a prefix in a WSGI environment (PEP 3333), and never joined.
BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")
MAX_CHUNK_LINE_BYTES = 8192
MAX_TRAILER_BYTES = 65536
TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
# 15 digits: more than a file can have, and no number of 64 bits overflows.
SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;" + TEXT + rb")?\r\n")
TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:" + TEXT + rb"\r\n")
END = b"\r\n"


class Head:
    """Request line and headers of a request.

    Attributes:
        method: Such as `POST`.
        target: Path and query, as they came.
        version: `1.0` or `1.1`.
        variables: The headers, by their names in a WSGI environment.
        length: Bytes of the body that follow; None where it comes in chunks, or where
            the request has no body.
        is_chunked: Whether it comes in chunks.
        is_kept_alive: Whether the client may send another request.
        is_complete: Whether llhttp has seen its end.
    """

    method: str
    version: str
    length: int | None
    is_chunked: bool
    is_kept_alive: bool

    def __init__(self) -> None:
        self.target = ""
        self.variables: dict[str, str] = {}
        self.is_complete = False

    # What llhttp calls while it reads.

    def on_url(self, part: bytes) -> None:
        """Take the next part of the target."""
        self.target += part.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        variable = to_variable(name)
        if variable is None:
            return
        text = value.decode("latin-1").strip(" \t")
        earlier = self.variables.get(variable)
        if earlier is None:
            self.variables[variable] = text
        elif variable not in BARE:
            separator = "; " if variable == "HTTP_COOKIE" else ","
            self.variables[variable] = earlier + separator + text

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self.is_complete = True


def read_head(line: bytes, read_line: Callable[[int], bytes]) -> Head:
    """Read the headers of a request and say where its body ends.

    Args:
        line: Its first line.
        read_line: Reads a line of a maximum number of bytes, its end included.

    Raises:
        ValueError: They are too long, not HTTP/1, or leave open where the body ends
            or which host is meant.
    """
    if not is_first_line(line):
        raise ValueError(f"its first line is {describe(line)}.")
    lines = [line]
    room = MAX_HEAD_BYTES - len(line)
    while line not in ENDS:
        line = read_line(room + 1)
        lines.append(line)
        room -= len(line)
        if room < 0:
            raise ValueError(f"its head is longer than {MAX_HEAD_BYTES} bytes.")
    head = Head()
    parser = HttpRequestParser(head)
    try:
        parser.feed_data(b"".join(lines))
    except HttpParserUpgrade:  # to what is not spoken here: HTTP/1 continues
        pass
    except HttpParserError as error:
        raise ValueError(f"{error}.") from None
    return conclude(head, parser)


def conclude(head: Head, parser: HttpRequestParser) -> Head:
    """Say what the headers come to.

    Raises:
        ValueError: The head is not complete, or its target, Host or Transfer-Encoding
            cannot be used.
    """
    head.method, head.version = parser.get_method().decode(), parser.get_http_version()
    if not head.is_complete:
        raise ValueError("its head is not whole.")
    check_target(head)
    coding = head.variables.get("HTTP_TRANSFER_ENCODING")
    if coding is not None and coding.lower() != "chunked":
        raise ValueError(f"its Transfer-Encoding is {coding[:40]!r}; expected chunked.")
    head.is_chunked = coding is not None
    is_old = head.version == "1.0"
    if is_old and head.is_chunked:
        raise ValueError("it has Transfer-Encoding in HTTP/1.0.")
    length = head.variables.get("CONTENT_LENGTH")
    head.length = None if length is None else int(length)
    connection = head.variables.get("HTTP_CONNECTION", "").lower()
    head.is_kept_alive = (
        "keep-alive" in connection if is_old else "close" not in connection
    )
    return head


def check_target(head: Head) -> None:
    """Leave the path of a target only, and make sure that one host is meant.

    Raises:
        ValueError: There is no host, or two; or the target is not a path.
    """
    host, target = head.variables.get("HTTP_HOST"), head.target
    if host is None and head.version == "1.1":
        raise ValueError("it has no Host header.")
    if host and not is_host(host):  # two are joined by a comma
        raise ValueError(f"its Host is {host[:80]!r}; expected one name or address.")
    if target[:1] == "/":
        if target[1:2] == "/":
            raise ValueError("its path begins with two slashes; expected one.")
        return
    found = ABSOLUTE.fullmatch(target)
    if found is None or not is_host(found[1]):
        raise ValueError(f"its target is {head.target[:80]!r}; expected a path.")
    head.variables["HTTP_HOST"] = found[1]
    head.target = found[2] if found[2].startswith("/") else f"/{found[2]}"


# Cached: a client's requests name the same hosts, and mostly the same addresses.
@lru_cache(maxsize=256)
def is_first_line(line: bytes) -> bool:
    """Return whether a line is one that begins a request."""
    return LINE.fullmatch(line) is not None


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Return whether a Host header names one host."""
    return HOST.fullmatch(text) is not None


def describe(line: bytes) -> str:
    """Describe a first line that is not a request's."""
    if len(line) >= MAX_LINE_BYTES:
        return f"longer than {MAX_LINE_BYTES} bytes"
    return f"{line[:80]!r}; expected such as 'GET /path HTTP/1.1'"


@lru_cache(maxsize=256)
def to_variable(name: bytes) -> str | None:
    """Name a header as WSGI does; None where another could be taken for it."""
    if b"_" in name:
        return None
    variable = name.decode("latin-1").upper().replace("-", "_")
    return variable if variable in BARE else f"HTTP_{variable}"


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

    def take_lines(self, came: bytes) -> bytes:
        """Take the whole lines of this chunk that have come, but for its last.

        Args:
            came: What has been read from the socket and not been used.
        """
        end = came.rfind(b"\n", 0, max(self._rest - 1, 0)) + 1
        self._rest -= end
        return self._rfile.read(end) if end else b""

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
        line = self._rfile.readline(MAX_CHUNK_LINE_BYTES)
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
