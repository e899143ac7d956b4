"""Event logs in XES (IEEE 1849), read as a stream into JSON Lines.

Every event becomes an object of its attributes, with its trace's under the names
`case:...`, and the line on which it ends. Nested attributes are left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from training.data.files import DataFile, open_bytes, readable
from training.errors import DataError

VALUES = frozenset({"string", "date", "int", "float", "boolean", "id"})
NEVER_NESTED = ("trace", "event")
LINE = "line of the file"
NAME = "case:concept:name"


class XesReader:
    """Handlers of a parser that write an object per event.

    Args:
        target: Where to write.
        path: Of the file, for errors.
    """

    def __init__(self, target: IO[str], path: Path) -> None:
        self.target, self.file = target, path
        self.names: dict[str, None] = {LINE: None}
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.path: list[str] = []
        self.trace: dict[str, str] = {}
        self.event: dict[str, str] = {}
        self.is_empty = True  # the trace, so far
        self.seen: set[str] = set()
        self.repeated: list[tuple[str, int]] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element; an attribute of the trace or the event is kept.

        Raises:
            DataError: A trace or an event is inside another one.
        """
        tag = tag.rpartition(":")[2]
        parent = self.path[-1] if self.path else ""
        if tag in NEVER_NESTED and tag in self.path:
            raise DataError(
                f"{self.file}, line {self.parser.CurrentLineNumber}: {tag} within "
                f"{tag}; expected them one after the other. Export the log again."
            )
        self.path.append(tag)
        if tag == "trace":
            self.trace, self.is_empty = {}, True
        elif tag == "event":
            self.event = {}
        elif tag in VALUES and "key" in attributes and "value" in attributes:
            if parent == "trace":
                self.trace[f"case:{attributes['key']}"] = attributes["value"]
            elif parent == "event":
                self.event[attributes["key"]] = attributes["value"]

    def end(self, tag: str) -> None:
        """End an element; an event is written."""
        del tag
        closed = self.path.pop()
        if closed == "trace":
            self.note_repeated()
        if closed == "event":
            self.is_empty = False
            line = str(self.parser.CurrentLineNumber)
            event = {**self.trace, **self.event, LINE: line}
            self.names.update(dict.fromkeys(event))
            self.target.write(json.dumps(event) + "\n")

    def note_repeated(self) -> None:
        """Note a trace with the name of an earlier one, and its last line."""
        name = self.trace.get(NAME)
        if name is None or self.is_empty:
            return
        if name in self.seen:
            self.repeated.append((name, self.parser.CurrentLineNumber))
        self.seen.add(name)

    def describe_repeated(self) -> str:
        """Say which traces have the name of an earlier one; empty without any."""
        if not self.repeated:
            return ""
        name, line = self.repeated[0]
        more = len(self.repeated) - 1
        who = f"trace {name!r}"
        if more:
            who += f", like {more:,} further traces,"
        return (
            f"{self.file}, line {line}: {who} has the name of an earlier trace; traces "
            "of one name are one case"
        )


def convert_xes(file: DataFile, target: Path) -> tuple[list[str], str]:
    """Write the events of an XES file as JSON Lines.

    Returns:
        The names of their attributes, and a sentence about traces that have the name
        of an earlier one, empty without any.

    Raises:
        DataError: The file is not XML, or has no events.
    """
    with target.open("w", encoding="utf-8") as lines:
        reader = XesReader(lines, file.path)
        try:
            with readable(file.path), open_bytes(file) as content:
                reader.parser.ParseFile(content)
        except expat.ExpatError as error:
            raise DataError(
                f"{file.path}, line {error.lineno}: {expat.ErrorString(error.code)}; "
                "expected XES, which is XML. Export the log again."
            ) from error
    if len(reader.names) == 1:
        raise DataError(
            f"{file.path} has no events; expected XES with a trace for each case."
        )
    return list(reader.names), reader.describe_repeated()


def attribute_names(names: Any) -> list[str]:
    """Return the attributes a log itself has."""
    return [name for name in names if name != LINE]
