"""Files of others: read whole where they are files, refused where reading may wait.

Opening a named pipe waits for its other end, a device may never end, and either would
stop the event loop of a worker.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


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
