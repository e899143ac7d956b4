"""Speed of `fit`, and memory that a large log takes.

    python -m benchmarks.training [--data FOLDER] [--only NAME ...] [--publish]

FOLDER has `msnbc/msnbc990928.zip` (MSNBC.com Anonymous Web Data, UCI, CC BY 4.0, doi
10.24432/C5390X): 4.3 million page views of 624,383 readers with two or more. Each
measurement runs in a process of its own. `--publish` keeps the figures for
`docs/explanation/results.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.training.generated import measure_growth, write_log
from benchmarks.training.limits import RESULT, check, read_result
from benchmarks.training.views import ARCHIVE, write_views
from training.native_log import silence_native_log

MAX_READERS = 8_000  # to train on
NAMES = ("read", "speed", "growth")


def main() -> int:
    """Measure what is asked for; the exit status says whether all limits are met."""
    options = parse_options()
    if options.child:
        name, path, number = options.child
        print(json.dumps(CHILDREN[name](Path(path), int(number))))
        return 0
    found = {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as place:
        for name in options.only:
            path = Path(place) / f"{name}.csv"
            if not prepare(name, path, options):
                continue
            found[name] = {**run(name, path, options.events), **describe()}
            path.unlink()
    if options.publish:
        RESULT.write_text(json.dumps({**read_result(), **found}, indent=1) + "\n")
    verdicts = [one for name, figures in found.items() for one in check(name, figures)]
    for one in verdicts:
        print(one.sentence)
    return int(not all(one.is_met for one in verdicts))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("CARRYOVER_DATA", "data")
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument(
        "--events", type=int, default=50_000_000, help="of the generated log"
    )
    parser.add_argument("--publish", action="store_true", help="keep the figures")
    parser.add_argument("--scratch", type=Path, help="folder for large files")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(name: str, path: Path, options: argparse.Namespace) -> bool:
    """Write the log that a measurement reads; say why it cannot."""
    if name == "growth":
        write_log(path, options.events)
        return True
    archive = options.data / "msnbc" / ARCHIVE
    if not archive.exists():
        print(f"skipped: {name}, as {archive} is not there")
        return False
    write_views(archive, path, None if name == "read" else MAX_READERS)
    return True


def run(name: str, path: Path, events: int) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--child", name, path]
    done = subprocess.run(
        [*map(str, command), str(events)], stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def describe() -> dict[str, str]:
    """Say when it was measured, and how busy the machine was."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "load": f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores",
    }


def read_views(path: Path, number: int) -> dict[str, float]:
    """Read and sort a log."""
    from training.data.event_log import Roles
    from training.data.log_reader import read_log

    began, cpu = time.perf_counter(), time.process_time()
    log = read_log(path, Roles("reader", "section"))
    return {
        "events": log.num_rows,
        "cases": log.num_cases,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def compare_speed(path: Path, number: int) -> dict[str, Any]:
    """Train the same network by `fit`, Keras and PyTorch."""
    with silence_native_log():
        from benchmarks.training.speed import measure_speed

    return measure_speed(path)


CHILDREN = {"read": read_views, "speed": compare_speed, "growth": measure_growth}


if __name__ == "__main__":
    sys.exit(main())
