"""Configurations as TOML text: the standard library reads it, and does not write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from training.printable import escape_controls


def write_toml(table: Mapping[str, Any]) -> str:
    """Write a table of values and of sections, one section deep.

    Keys without a value (None) are left out: TOML has no word for that.
    """
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
    lines = write_keys(plain)
    for name, section in table.items():
        if isinstance(section, Mapping):
            lines += ["", f"[{name}]", *write_keys(section)]
    return "\n".join(lines) + "\n"


def write_keys(section: Mapping[str, Any]) -> list[str]:
    """Write a line for each key."""
    return [
        f"{write_key(key)} = {write_value(value)}"
        for key, value in section.items()
        if value is not None
    ]


def write_key(key: str) -> str:
    """Write a key, in quotes where it needs them."""
    is_bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if is_bare else write_value(key)


def write_value(value: Any) -> str:
    """Write one value."""
    if isinstance(value, Mapping):
        pairs = ", ".join(write_keys(value))
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(write_value, value))}]"
    # A JSON string is a TOML one, but for U+007F.
    return escape_controls(json.dumps(value, ensure_ascii=False))
