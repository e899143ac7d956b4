"""How long reading and sorting a large log takes, and how much memory.

The log is MSNBC's (UCI, CC BY 4.0, doi 10.24432/C5390X): 4.3 million page views of
624,383 readers with two or more. Give the folder of `msnbc990928.zip`, or set
CARRYOVER_DATA to the folder above it.

    python -m benchmarks.training [FOLDER]
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ARCHIVE = "msnbc990928.zip"
MEMBER = "msnbc990928.seq"
HEAD_LINES = 7
MAX_SECONDS, MAX_MEGABYTES = 10, 512


def main() -> int:
    """Write the log as CSV, and read it in a process of its own."""
    above = os.environ.get("CARRYOVER_DATA", "data")
    folder = Path(sys.argv[1]) if sys.argv[1:] else Path(above) / "msnbc"
    archive = folder / ARCHIVE
    if not archive.exists():
        print(f"skipped: {archive} is not there")
        return 0
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "msnbc.csv"
        write_views(archive, path)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.training", "--read", path]
        )
    return done.returncode


def write_views(archive: Path, path: Path) -> None:
    """Write a line per view of every reader with two or more, readers numbered."""
    with zipfile.ZipFile(archive).open(MEMBER) as raw, path.open("w") as target:
        lines = io.TextIOWrapper(raw)
        head = [next(lines) for _ in range(HEAD_LINES)]
        sections = head[2].split()
        target.write("reader,section\n")
        for reader, line in enumerate(lines):
            views = line.split()
            if len(views) > 1:
                target.writelines(f"{reader},{sections[int(v) - 1]}\n" for v in views)


def read_views(path: Path) -> int:
    """Read the log; the exit status says whether it was quick and small enough."""
    from training.data.event_log import Roles, read_log

    began = time.perf_counter()
    log = read_log(path, Roles("reader", "section"))
    seconds = time.perf_counter() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{log.num_rows:,} events of {log.num_cases:,} cases read and sorted in "
        f"{seconds:.1f} s (at most {MAX_SECONDS}), {megabytes:.0f} MB resident "
        f"(at most {MAX_MEGABYTES})"
    )
    return int(seconds > MAX_SECONDS or megabytes > MAX_MEGABYTES)


if __name__ == "__main__":
    is_child = sys.argv[1:2] == ["--read"]
    sys.exit(read_views(Path(sys.argv[2])) if is_child else main())
