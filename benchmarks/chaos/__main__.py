"""Kill and audit: `python -m benchmarks.chaos [--seconds 60] [--store lmdb|redis]`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.chaos.report import STORES
from benchmarks.chaos.run import run

MAX_SHOWN = 10


def main() -> None:
    """Run, print the table, write the JSON; fail where anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--store", default="lmdb", choices=STORES)
    parser.add_argument("--models", type=Path, default=Path("artifacts"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--output", type=Path, help="default: var/chaos-<store>.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        report = run(
            options.store, options.seconds, options.models, Path(folder), options.seed
        )
    output = options.output or Path("var", f"chaos-{options.store}.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report.describe(), indent=2) + "\n")
    print(report.tabulate())
    for objection in report.objections[:MAX_SHOWN]:
        print(f"objection: {objection}", file=sys.stderr)
    sys.exit(0 if report.is_sound else 1)


if __name__ == "__main__":
    main()
