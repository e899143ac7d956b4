"""Files: read whole where reading cannot wait, replaced whole, and never mapped.

Opening a named pipe waits for its other end, a device may never end, and either would
stop the event loop of a worker. A write to a mapped file ends the process by SIGBUS
where the disk is full or something else has cut the file short. A file that is replaced
shows its readers all of the old content or all of the new, and its next writer repairs
whatever happened to it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# Ending of a file that is being written.
PARTIAL = ".partial"


def read_regular(path: Path, max_bytes: int | None = None) -> bytes:
    """Read a file that is one.

    Args:
        path: The file, or a link to it.
        max_bytes: The largest size; None for any.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if max_bytes is not None and status.st_size > max_bytes:
            reason = f"it has {status.st_size} bytes, more than {max_bytes}"
            raise OSError(errno.EFBIG, reason, str(path))
        return opened.read()


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
        # Unbuffered: a thread of the pool waits for its turn after each system call.
        with partial.open("wb", buffering=0) as opened:
            rest = memoryview(content)
            while rest:
                rest = rest[opened.write(rest) :]
            if modified_ns is not None:
                os.utime(opened.fileno(), ns=(modified_ns, modified_ns))
            if sync:
                os.fsync(opened.fileno())
        os.replace(partial, file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
