"""Text for a terminal: what a file holds must not command it."""

from __future__ import annotations


def escape_controls(text: str) -> str:
    """Write characters that move, colour or reorder text as escapes of TOML.

    Line feeds stay.
    """
    return "".join([c if c.isprintable() or c == "\n" else escape(c) for c in text])


def escape(character: str) -> str:
    """Write one character as an escape."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
