"""Ends of data files, which DuckDB leaves out where they are very long lines."""

from __future__ import annotations

import io

from training.data.files import CHUNK, MAX_CELL_LENGTH, DataFile, open_bytes, readable


def ends_in_long_line(file: DataFile) -> bool:
    """Return whether the last line is longer than a cell may be."""
    last = b""
    with readable(file.path), open_bytes(file) as content:
        if not file.is_gzip:
            size = content.seek(0, io.SEEK_END)
            content.seek(max(size - MAX_CELL_LENGTH - 2, 0))
        while part := content.read(CHUNK):
            last = (last + part)[-MAX_CELL_LENGTH - 2 :]
    return len(last) > MAX_CELL_LENGTH and b"\n" not in last.rstrip()
