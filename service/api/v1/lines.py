"""The v1 dialect a line at a time: the rows and answers of `:stream`.

A line is what a row of `instances` is, its answer what stands in `predictions`.
Lines are read ahead of their answers, up to a bound, and decoded as one where they are
alike. Knows neither sessions that failed nor the engine.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import orjson

from service.api.long_json import JSON_OPTIONS, MAX_AT_ONCE, is_decoded_at_once
from service.api.problems import problem
from service.api.v1.diagnose import Form, load_json, read_row
from service.api.v1.parse import UNREADABLE
from service.api.v1.render import render_row
from service.api.v1.row import limit_of_row, parse_row, refuse_excess
from service.api.v1.row_texts import write_texts
from service.api.v1.schema import ObjectRow, Options, ParsedRow
from service.common.loop import long_work
from service.common.value import Value
from service.engine.rows import Refused, Result
from service.errors import BodyTooLarge, CarryoverError, InvalidJson, InvalidRequest
from service.registry.catalog import Model
from service.settings import MAX_WAITING_LINES

# Long lines, such as vectors: what waits stays small, however long they are. A lone
# line may be longer.
MAX_WAITING_BYTES = 128 * 1024
# A client that is gone fails the reading and the writing at once.
CLOSE_SECONDS = 5.0
DECODER = msgspec.json.Decoder(ObjectRow | list[Any])
LINES_DECODER = msgspec.json.Decoder(ObjectRow)
BETWEEN = b"}\n{"
LINE_OPTIONS = JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE


class Source(Protocol):
    """A body, such as `wsgi.input`."""

    def readline(self, size: int, /) -> bytes:
        """Return a line or its first `size` bytes; nothing at the end."""


class Line(Value, frozen=True):
    """One line.

    Attributes:
        number: Which of the body's it is, from 1; empty ones count.
        content: What stands in it; or why that cannot be read.
        end: Bytes of the body up to its end.
    """

    number: int
    content: bytes | CarryoverError
    end: int = 0


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
        # What some sources have in addition: lines that have come whole already.
        self._take_lines: Callable[[], list[bytes]] = getattr(
            source, "take_lines", list
        )
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
                if taken:
                    self._num_taken = taken[-1].end
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
        number, longest = 0, self._max_line_bytes + 1  # with its line feed
        try:
            while not self._is_closed and (content := self._read_line()):
                number += 1
                self._put(number, content)
                for line in self._take_lines():
                    number += 1
                    self._num_read += len(line)
                    is_long = len(line) > longest
                    self._put(number, too_long(longest - 1) if is_long else line)
        except (OSError, ValueError) as error:  # a lost connection, a broken chunk
            self._put(number + 1, cut(number, str(error)))
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

    def _put(self, number: int, content: bytes | CarryoverError) -> None:
        """Let a line wait to be taken, and wait oneself while enough do."""
        if isinstance(content, bytes) and content.isspace():
            return
        self._waiting.append(Line(number, content, self._num_read))
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


def decode_lines(batch: Sequence[Line], model: Model) -> list[ObjectRow] | None:
    """Decode lines that came together at once.

    Returns:
        The row of each; None where each is to be decoded by itself: some are not
        objects, not right or long, or not parted by line feeds alone.
    """
    contents: list[bytes] = []
    # A line has fewer lists and objects than bytes.
    longest = min(limit_of_row(model), MAX_AT_ONCE)
    for line in batch:
        if isinstance(line.content, CarryoverError) or len(line.content) > longest:
            return None
        contents.append(line.content)
    whole = b"".join(contents)
    # Within an object no brace follows a brace and a line feed, and no string has one.
    # So no row spans lines, and as many rows as lines are one a line.
    if whole.count(BETWEEN) != len(contents) - 1:
        return None
    with suppress(*UNREADABLE):
        rows: list[ObjectRow] = LINES_DECODER.decode_lines(whole)
        if len(rows) == len(contents):
            return rows
    return None


def parse_lines(
    batch: Sequence[Line], model: Model, *, is_last_only: bool, timeout_seconds: float
) -> list[ParsedRow]:
    """Parse lines that came together; a bad one is refused, a long one with breaks."""
    rows = decode_lines(batch, model)
    if rows is not None:
        return [
            parse_row(f"line {line.number}", row, model, is_last_only)
            for line, row in zip(batch, rows, strict=True)
        ]
    parsed: list[ParsedRow] = []
    for line in batch:
        with long_work(count_bytes(line), timeout_seconds):
            parsed.append(parse_line(line, model, is_last_only=is_last_only))
    return parsed


def parse_line(line: Line, model: Model, *, is_last_only: bool) -> ParsedRow:
    """Parse one line; a bad one is refused."""
    if isinstance(line.content, CarryoverError):
        return ParsedRow(Refused(line.content))
    where = f"line {line.number}"
    form = decode_line(line.content, model, where)
    return parse_row(where, form, model, is_last_only)


def decode_line(content: bytes, model: Model, where: str) -> Form:
    """Decode one line; a very long one, or one that is not right, with care."""
    with suppress(*UNREADABLE):
        text = content.decode()
        if (refused := refuse_excess(text, where, model)) is not None:
            return refused
        if is_decoded_at_once(text):
            form: Form = DECODER.decode(content)
            return form
    return read_line(content, model, where)


def read_line(content: bytes, model: Model, where: str) -> Form:
    """Diagnose a malformed line: what is wrong with it."""
    try:
        return read_row(load_json(content), model.manifest, where)
    except InvalidJson as error:
        text = error.detail.partition("; expected")[0].removeprefix("the body")
        return Refused(
            InvalidJson(
                f"{where}{text}; expected a row, such as "
                '["first event", "second event"].',
                **error.members,
            )
        )


def render_lines(
    lines: Sequence[Line],
    parsed: Sequence[ParsedRow],
    results: Sequence[Result],
    options: Options,
    common: Model,
) -> bytes:
    """Write the answers of lines that came together."""
    texts = None
    if options.is_last_only:
        texts = write_texts(parsed, results, options, common)
    if texts is not None:
        return b"\n".join(texts) + b"\n"
    return b"".join(
        [
            render_line(line, row, result, options, common)
            for line, row, result in zip(lines, parsed, results, strict=True)
        ]
    )


def render_line(
    line: Line, parsed: ParsedRow, result: Result, options: Options, common: Model
) -> bytes:
    """Write one line's answer."""
    if isinstance(result, CarryoverError):
        answer: Any = problem(result) | {"line": line.number}
        if parsed.row.session is not None:
            answer["session"] = parsed.row.session
    else:
        answer = render_row(parsed, result, options, common, explain=False)
        if parsed.warning is not None and isinstance(answer, dict):
            answer["warnings"] = [parsed.warning]
    return orjson.dumps(answer, option=LINE_OPTIONS)
