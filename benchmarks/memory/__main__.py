"""Measure the stores: `python -m benchmarks.memory [--publish]`.

Takes at most about five minutes; each store has an equal share of the time, and what
it cannot be filled with in that time is not measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

from benchmarks import capacity
from benchmarks.memory.measure import Result, fill, measure
from benchmarks.memory.places import KINDS, open_place
from benchmarks.memory.report import publish, tabulate

SIZES = (1_000, 100_000, 1_000_000)
MEASURE_SECONDS = 3.0


def main() -> None:
    """Measure each store at each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--stores", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--seconds", type=float, default=300, help="for all together")
    parser.add_argument("--folder", type=Path, default=Path("var/bench-memory"))
    parser.add_argument("--publish", action="store_true", help="write docs/")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for kind in options.stores:
        share = options.seconds / len(options.stores)
        results += measure_store(kind, options.sizes, options.folder, share)
    print(tabulate(results, describe_machine()))
    if options.publish:
        publish(results, describe_machine())
        capacity.main()


def measure_store(
    kind: str, sizes: list[int], folder: Path, seconds: float
) -> list[Result]:
    """Fill a store step by step and measure at each size that is reached in time."""
    results: list[Result] = []
    deadline = time.monotonic() + seconds
    with open_place(kind, folder) as place:
        stored = 0
        for size in sizes:
            print(f"{kind}: storing {size:,} sessions ...", flush=True)
            stored = fill(place.store, stored, size, deadline)
            if stored < size:
                print(f"{kind}: {stored:,} sessions in {seconds:.0f} s; left there")
                break
            results.append(measure(kind, size, place, MEASURE_SECONDS))
    return results


def describe_machine() -> str:
    """Write what was measured on, and when."""
    model = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    date, load = time.strftime("%Y-%m-%d"), os.getloadavg()[0]
    return (
        f"{date}, {os.cpu_count()} cores of {model}, Python "
        f"{platform.python_version()}, load average {load:.1f} at the end."
    )


if __name__ == "__main__":
    main()
