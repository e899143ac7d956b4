"""MSNBC's log as CSV: a line per page view of every reader with two or more."""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path

ARCHIVE = "msnbc990928.zip"
MEMBER = "msnbc990928.seq"
HEAD_LINES = 7


def write_views(archive: Path, path: Path, most_readers: int | None = None) -> None:
    """Write the views, readers numbered.

    Args:
        archive: UCI's zip.
        path: Where to.
        most_readers: Maximum number of readers, the file's first; None: all.
    """
    with zipfile.ZipFile(archive).open(MEMBER) as raw, path.open("w") as target:
        lines = io.TextIOWrapper(raw)
        head = [next(lines) for _ in range(HEAD_LINES)]
        sections = head[2].split()
        target.write("reader,section\n")
        numbered = ((reader, line.split()) for reader, line in enumerate(lines))
        several = ((reader, views) for reader, views in numbered if len(views) > 1)
        for reader, views in itertools.islice(several, most_readers):
            target.writelines(f"{reader},{sections[int(v) - 1]}\n" for v in views)
