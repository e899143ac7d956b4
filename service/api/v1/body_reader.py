"""Reader of large bodies that leaves their rows as text, to be decoded one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.api.json_loading import LONG, Reader, finish
from service.api.problems import too_many_rows


def load_body(
    text: str,
    rows: str,
    max_rows: int,
    check: Callable[[Any], object],
    check_name: Callable[[str], object],
) -> Any:
    """Read a body with breaks, and leave its rows as text, to be decoded one by one.

    All at once they are many objects: the garbage collector would stop for them.

    Args:
        text: The body.
        rows: Name of the member with the elements that are not parsed.
        max_rows: Most rows accepted.
        check: Called with every other value that is read at once.
        check_name: Called with the name of each member of the body, before its value
            is read. What it raises ends the reading.

    Raises:
        json.JSONDecodeError: It is not JSON.
        RecursionError: Its values are nested too deeply.
        TooManyRows: It has more rows; the rest was not read.
    """
    return finish(BodyReader(text, check, rows, max_rows, check_name))


class BodyReader(Reader):
    """Reads a body, and leaves the elements of one of its members as text."""

    def __init__(
        self,
        text: str,
        check: Callable[[Any], object],
        rows: str,
        max_rows: int,
        check_name: Callable[[str], object],
    ) -> None:
        super().__init__(text, check)
        self._check_name = check_name
        self._rows = rows
        self._max_rows = max_rows
        self._is_body = False  # whether the members that are read are the body's

    def read_body(self) -> Any:
        """Read the body's own members one by one, to find its rows."""
        self.skip()
        self._is_body = self.text[self.at : self.at + 1] == "{"
        return self.read_parts() if self._is_body else self.read()

    def read_members(self) -> dict[str, Any]:
        """Read some short members at once, but none of the body's own."""
        return {} if self._is_body else super().read_members()

    def read_member(self, name: str) -> Any:
        """Read the value of a member; of the rows, where each begins and ends."""
        if not self._is_body:
            return self.read()
        self._check_name(name)
        self._is_body = False
        is_list = self.text[self.at : self.at + 1] == "["
        value = self._cut_rows() if name == self._rows and is_list else self.read()
        self._is_body = True
        return value

    def _cut_rows(self) -> list[str]:
        rows: list[str] = []
        is_closed = self.take("[", "]")
        while not is_closed:
            rows.append(self._cut())
            if len(rows) > self._max_rows:
                raise too_many_rows(self._rows, len(rows), self._max_rows)
            is_closed = self.read_separator("]")
        return rows

    def _cut(self) -> str:
        start, self._keeps = self.at, False
        if self.read_at_once() is LONG:
            self.read_parts()
        self._keeps = True
        return self.text[start : self.at]
