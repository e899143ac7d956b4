"""Files that a full disk cannot harm: mapped with their space, or replaced whole.

A write to a mapped file without space on its disk ends the process by SIGBUS. What is
allocated cannot run out, and what cannot be allocated is refused here.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path


def map_file(path: Path, size: int) -> mmap.mmap:
    """Map a file of a size, made or grown where it is not there.

    Raises:
        OSError: There is no room for it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def replace_file(file: Path, content: bytes, modified_ns: int | None = None) -> None:
    """Put a file in the place of the one there is, or leave that one.

    Args:
        file: Its path.
        content: All of it.
        modified_ns: When it was modified, since 1970; None for now.

    Raises:
        OSError: There is no room for it.
    """
    beside = file.with_suffix(f".{os.getpid()}.partial")
    try:
        with beside.open("wb") as opened:
            opened.write(content)
            opened.flush()
            if modified_ns is not None:
                os.utime(opened.fileno(), ns=(modified_ns, modified_ns))
            os.fsync(opened.fileno())
        os.replace(beside, file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
