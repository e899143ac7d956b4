"""The names given with a Keras file: of the model, of its events, of its labels."""

from __future__ import annotations

import re
from pathlib import Path

from training.errors import ModelError

# A model's name becomes a folder and a part of an address. One that begins with a dot
# is a hidden folder, which the service does not read; with a hyphen, an option.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
NAME_WORDS = (
    "of 1 to 64 letters, digits, '_', '-' and '.', starting with a letter, a digit "
    "or '_'"
)


def check_name(name: str) -> None:
    """Refuse a name that cannot stand in an address and be a folder.

    Raises:
        ModelError: The name has other characters, none or too many, or begins with a
            dot or a hyphen.
    """
    if not re.fullmatch(NAME, name):
        raise ModelError(
            f"--name is {name[:80]!r}; expected text {NAME_WORDS}, such as my-model."
        )


def read_names(path: Path | None, option: str) -> list[str] | None:
    """Read one name per line; line k, from 0, names index k.

    Raises:
        ModelError: The file is missing or no text, a line is empty, or a name is there
            twice.
    """
    if path is None:
        return None
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{option} {path} cannot be read ({error}); expected a text file in UTF-8 "
            "with one name per line."
        ) from error
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise ModelError(
                f"{option} {path}, line {number} is empty; every line is one name. "
                "Name an index that is kept for padding [PAD], for instance."
            )
        if first.setdefault(name, number) != number:
            raise ModelError(
                f"{option} {path}, line {number} says {name!r} again, after line "
                f"{first[name]}; every name stands for one index."
            )
    if not names:
        raise ModelError(f"{option} {path} is empty; expected one name per line.")
    return names
