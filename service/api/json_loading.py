"""JSON of a large body, read value by value, so that other requests continue meanwhile.

For bodies over 64 KiB, and those that the quick decoder refuses. Takes what Python's
`json` takes (NaN and Infinity too) and raises its errors. Long containers are read part
by part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from service.common.loop import take_break

# Characters of a container that is read at once; the first size spares small ones a
# copy of the second. A longer one is read part by part, however deep it lies.
SHORT = (512, 65_536)
# Elements of a list that are neither lists nor objects, each with the comma after it.
# Nothing backtracks (`*+`): a number of a million digits would stop for seconds.
NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
SCALAR = rf"""(?:"[^"\\\x00-\x1f]*+"|{NUMBER}|null)"""
SCALARS = re.compile(rf"(?:{SCALAR}[ \t\n\r]*+,[ \t\n\r]*+){{1,256}}")
SPACE = re.compile(r"[ \t\n\r]*")
COLON = re.compile(r"[ \t\n\r]*+:[ \t\n\r]*+")
COMMA = re.compile(r"[ \t\n\r]*+,[ \t\n\r]*+")
# Values that are read between two breaks, if they are short.
PIECE_VALUES = 256
# Long containers within each other. At each level a part of the text is scanned once
# more; a row's events lie four levels deep.
MAX_LONG_DEPTH = 16
DECODER = json.JSONDecoder()
CONTAINERS = ("{", "[")
# Reads the value at a position of a text; returns it, and where it ends.
Scan = Callable[[str, int], tuple[Any, int]]
# Stands for a container that is too long to be read at once.
LONG = object()


def load_large_json(
    text: str,
    check: Callable[[Any], object],
    decoder: json.JSONDecoder = DECODER,
) -> Any:
    """Read JSON with breaks.

    Args:
        text: The JSON.
        check: Called with every value that is read at once, and with every key.
        decoder: Reads such a value.

    Raises:
        json.JSONDecodeError: It is not JSON.
        RecursionError: Its values are nested too deeply.
    """
    return finish(Reader(text, check, decoder))


def finish(reader: Reader) -> Any:
    """Read the one value of a text.

    Raises:
        json.JSONDecodeError: Text follows the value; other errors are the reader's.
    """
    value = reader.read_body()
    reader.skip()
    if reader.at < len(reader.text):
        raise json.JSONDecodeError("Extra data", reader.text, reader.at)
    return value


class Reader:
    """Reads values from a text.

    Args:
        text: The text.
        check: See `load_large_json`.
        decoder: The same.

    Attributes:
        text: The text.
        at: Position of the next character.
    """

    def __init__(
        self,
        text: str,
        check: Callable[[Any], object],
        decoder: json.JSONDecoder = DECODER,
    ) -> None:
        self.at = 0
        self.text = text
        self._check = check
        self._decoder = decoder
        self._scan: Scan = decoder.scan_once  # type: ignore[attr-defined]
        self._depth = 0
        self._keeps = True  # whether what is read is wanted, or only where it ends
        self._long_at = -1  # where a container begins that is known to be long

    def read_body(self) -> Any:
        """Read the one value of the text."""
        return self.read()

    def read(self) -> Any:
        """Read a value: a long container part by part."""
        self.skip()
        value = self.read_at_once()
        if value is LONG:
            return self.read_parts()
        self._check(value)
        return value

    def read_parts(self) -> Any:
        """Read a container part by part.

        Raises:
            RecursionError: It lies in `MAX_LONG_DEPTH` others.
        """
        if self._depth == MAX_LONG_DEPTH:
            raise RecursionError("its values are nested too deeply")
        self._depth += 1
        is_object = self.text[self.at] == "{"
        value = self._read_object() if is_object else self._read_list()
        self._depth -= 1
        return value

    def read_at_once(self) -> Any:
        """Read a scalar or a short container, unchecked; `LONG` where it is neither.

        Raises:
            json.JSONDecodeError: No JSON value begins here.
        """
        take_break()
        if self.text[self.at : self.at + 1] in CONTAINERS:
            return self._read_short()
        try:
            value, self.at = self._decoder.raw_decode(self.text, self.at)
        except StopIteration as stop:
            raise self._error("Expecting value", stop.value) from None
        return value

    def _read_short(self) -> Any:
        for size in () if self.at == self._long_at else SHORT:
            part = self.text[self.at : self.at + size]
            try:
                value, length = self._decoder.raw_decode(part)
            except (json.JSONDecodeError, StopIteration):
                continue  # cut in the middle; or not JSON, as its parts will show
            self.at += length
            return value
        return LONG

    def skip(self) -> None:
        """Skip white space."""
        found = SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _read_object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        is_closed = self.take("{", "}")
        while not is_closed:
            members |= self.read_members()
            if self.text[self.at : self.at + 1] != '"':
                raise self._error("Expecting property name enclosed in double quotes")
            name = self.read()
            self.skip()
            if self.text[self.at : self.at + 1] != ":":
                raise self._error("Expecting ':' delimiter")
            self.at += 1
            self.skip()
            members[name] = self.read_member(name)
            if not self._keeps:
                members.clear()
            is_closed = self.read_separator("}")
        return members

    def read_member(self, name: str) -> Any:
        """Read the value of a member."""
        return self.read()

    def read_members(self) -> dict[str, Any]:
        """Read some short members at once, up to before the last."""
        take_break()
        members: dict[str, Any] = {}
        part, at, start = self._cut_part(), 0, 0
        try:
            for _ in range(PIECE_VALUES):
                if part[at : at + 1] != '"':
                    break
                name, end = self._scan(part, at)
                if (colon := COLON.match(part, end)) is None:
                    break
                value, end = self._scan(part, start := colon.end())
                if (comma := COMMA.match(part, end)) is None:
                    break
                members[name], at = value, comma.end()
        except (json.JSONDecodeError, StopIteration):  # cut, or not JSON
            self._long_at = -1 if members else self.at + start
        self.at += at
        self.skip()  # the part may end between the comma and the next name
        self._check(members)
        return members

    def _read_list(self) -> list[Any]:
        values: list[Any] = []
        is_closed = self.take("[", "]")
        while not is_closed:
            values += self._read_scalars() or self._read_elements()
            values.append(self.read())
            if not self._keeps:
                values.clear()
            is_closed = self.read_separator("]")
        return values

    def _read_scalars(self) -> list[Any]:
        """Read some texts and numbers at once, up to before the last of the list."""
        found = SCALARS.match(self.text, self.at)
        if found is None:
            return []
        take_break()
        self.at = found.end()
        values: list[Any] = self._decoder.decode(f"[{found[0]}null]")
        values.pop()
        self._check(values)
        return values

    def _read_elements(self) -> list[Any]:
        """Read some short elements at once, up to before the last of the list."""
        take_break()
        values: list[Any] = []
        part, at = self._cut_part(), 0
        try:
            for _ in range(PIECE_VALUES):
                value, end = self._scan(part, at)
                if (comma := COMMA.match(part, end)) is None:
                    break
                values.append(value)
                at = comma.end()
        except (json.JSONDecodeError, StopIteration):  # cut, or not JSON
            self._long_at = -1 if values else self.at
        self.at += at
        self._check(values)
        return values

    def _cut_part(self) -> str:
        """Return as much of the text as is read at once."""
        return self.text[self.at : self.at + max(SHORT, default=0)]

    def take(self, opening: str, closing: str) -> bool:
        """Take the opening bracket; return whether the closing one follows."""
        self.at += len(opening)
        self.skip()
        is_closed = self.text[self.at : self.at + 1] == closing
        self.at += is_closed
        return is_closed

    def read_separator(self, closing: str) -> bool:
        """Take what follows a value: a comma, or the closing bracket.

        Raises:
            json.JSONDecodeError: Something else follows.
        """
        self.skip()
        character = self.text[self.at : self.at + 1]
        if character not in (",", closing):
            raise self._error("Expecting ',' delimiter")
        self.at += 1
        self.skip()
        return character == closing

    def _error(self, message: str, at: int | None = None) -> json.JSONDecodeError:
        position = self.at if at is None else at
        return json.JSONDecodeError(message, self.text, position)
