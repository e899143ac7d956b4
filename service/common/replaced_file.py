"""Files that are replaced whole, and never mapped.

A write to a mapped file ends the process by SIGBUS where the disk is full or something
else has cut the file short. A file that is replaced shows its readers all of the old
content or all of the new, and its next writer repairs whatever happened to it.
"""

from __future__ import annotations

import os
from pathlib import Path

# Ending of a file that is being written.
PARTIAL = ".partial"


def replace_file(
    file: Path, content: bytes, modified_ns: int | None = None, *, sync: bool = True
) -> None:
    """Replace a file whole, or leave the old one where that fails.

    Args:
        file: Its path.
        content: All of it.
        modified_ns: When it was modified, since 1970; None for now.
        sync: Whether it is to outlive the operating system.

    Raises:
        OSError: There is no room for it.
    """
    partial = file.with_name(f"{file.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as opened:
            opened.write(content)
            opened.flush()
            if modified_ns is not None:
                os.utime(opened.fileno(), ns=(modified_ns, modified_ns))
            if sync:
                os.fsync(opened.fileno())
        os.replace(partial, file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
