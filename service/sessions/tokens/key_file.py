"""Key files: the keys that encrypt memory kept by clients.

A file holds one key after another, 32 bytes each; a directory holds a file for each,
in the order of their names. The last seals, all open. So a key is replaced in two
rounds, and at no time does a replica meet a token of a key it does not have: first the
new one is put in front, everywhere; then at the end.

A mark next to the file says that there was one: without it, a file that is lost would
silently be replaced by another key, which opens no token that clients have.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from service.sessions.tokens.cipher import KEY_BYTES

log = logging.getLogger(__name__)

MARK_SUFFIX = ".mark"
MARK_TEXT = """\
A key for sealing client-held memory was made or used here. Where its file is missing,
the service does not make another. Restore it, or delete this file to have one made.
"""


def load_or_create_keys(path: Path) -> list[bytes]:
    """Return the keys at a path, the one that seals first.

    Where there is nothing, a file with one key is created, mode 0600. Processes that
    start together get the same key: the file is complete before it gets its name, and
    only the first can give it.

    Raises:
        ValueError: A file holds no whole number of keys, or a directory none; or the
            file was there and is gone.
        OSError: They can be neither read nor created.
    """
    if path.is_dir():
        return _load_directory(path)
    mark = path.with_name(path.name + MARK_SUFFIX)
    # Before the file: another process may create it and its mark between two looks.
    is_marked = mark.exists()
    if not path.exists():
        if is_marked:
            raise ValueError(
                f"The key file {path} is missing; expected the key that sealed the "
                "memory clients have. Restore it from a backup. To begin with another "
                f"key, which opens none of their tokens, delete {mark}."
            )
        _create_key(path)
    keys = _split(path)[::-1]
    _write_mark(mark)
    return keys


def _write_mark(mark: Path) -> None:
    if mark.exists():
        return
    try:
        mark.write_text(MARK_TEXT)
    except OSError as error:  # a mounted secret, for example, which is not made here
        log.info("no mark of the token key at %s: %s", mark, error)


def _load_directory(path: Path) -> list[bytes]:
    # Mounted secrets have hidden links next to the files.
    files = [file for file in path.iterdir() if not file.name.startswith(".")]
    files = sorted(file for file in files if file.is_file())
    keys = [key for file in files for key in _split(file)]
    if not keys:
        raise ValueError(
            f"The key directory {path} holds no file; expected one of {KEY_BYTES} "
            f"random bytes for each key. Make one: head -c {KEY_BYTES} /dev/urandom > "
            f"{path / '1.key'}"
        )
    return keys[::-1]


def _split(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if not content or len(content) % KEY_BYTES:
        raise ValueError(
            f"The key file {path} holds {len(content)} bytes; expected {KEY_BYTES} "
            "random bytes for each key. Restore it. To begin with another key, which "
            f"opens none of the tokens clients have, delete it and {path}{MARK_SUFFIX}."
        )
    starts = range(0, len(content), KEY_BYTES)
    return [content[start : start + KEY_BYTES] for start in starts]


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as f:
            f.write(secrets.token_bytes(KEY_BYTES))
            f.flush()
            os.fsync(f.fileno())
        # Not rename: it would replace the key of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
