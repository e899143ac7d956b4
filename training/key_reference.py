"""The keys of a configuration as Markdown: what each takes, its default, its meaning.

Types and ranges come from the sections themselves, meanings from the comments of the
bundled configurations; a test compares the page with both.
`python -m training.key_reference` prints the tables.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

from training.config import SECTIONS, General
from training.sections import explain
from training.sources import SOURCES
from training.toml import write_value

CONFIGS = Path(__file__).parent / "configs"
# The bundled configuration that explains the keys of a source.
EXAMPLES = {"events": "visits", "series": "taxi"}
KEY = re.compile(r"^(?:# )?(\w+) = [^#]*?# (.*)$")


def describe_keys() -> str:
    """Write a table for each section and each source of data."""
    tables = [describe_section("The top of the file", General, "")]
    for source, entry in SOURCES.items():
        title = f"`[data]` of source `{source}`"
        file = EXAMPLES.get(source, source)
        tables.append(describe_section(title, entry.options, "data", file))
    for name, section in SECTIONS.items():
        tables.append(describe_section(f"`[{name}]`", section, name))
    return "\n\n".join(tables)


def describe_section(title: str, section: type, name: str, file: str = "") -> str:
    """Write the table of one section."""
    meanings = read_meanings(name, file)
    hints = get_type_hints(section, include_extras=True)
    lines = [
        f"## {title}",
        "",
        "| key | takes | default | meaning |",
        "|---|---|---|---|",
    ]
    for field in dataclasses.fields(section):
        _, words = explain(hints[field.name])
        default = "required"
        if field.default is not dataclasses.MISSING:
            default = "" if field.default is None else f"`{write_value(field.default)}`"
        meaning = meanings.get(field.name, "").replace("|", r"\|")
        cells = (f"`{field.name}`", words, default, meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def read_meanings(section: str, file: str = "") -> dict[str, str]:
    """Read what the comments of the bundled configurations say of a section's keys."""
    meanings: dict[str, str] = {}
    # The first that explains a key is quoted, so those with most keys come first.
    others = [source for source in SOURCES if source not in EXAMPLES]
    sources = [*EXAMPLES.values(), *others]
    for name in [file] if file else sources:
        text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8")
        for key, meaning in find_comments(text, section):
            meanings.setdefault(key, meaning)
    return meanings


def find_comments(text: str, section: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a section with their comments, on the line or the one above."""
    current, above = "", ""
    for line in text.splitlines():
        if header := re.match(r"^(?:# )?\[(\w+)\]", line):
            current = header.group(1)
        elif current == section:
            if found := KEY.match(line):
                yield found.group(1), found.group(2)
            elif (key := re.match(r"^(\w+) = ", line)) and above.startswith("# "):
                yield key.group(1), above.removeprefix("# ")
        above = line


if __name__ == "__main__":
    sys.stdout.write(describe_keys() + "\n")
