"""Measure the service: `python -m benchmarks.speed [--peers] [--quick] [--only ...]`.

Prints every table when it is measured, and writes the whole run to `.bench/`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time

from benchmarks import model
from benchmarks.speed.bench import Bench
from benchmarks.speed.report import format_result
from benchmarks.speed.scenarios import SCENARIOS


def main() -> int:
    """Run the scenarios asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    parser.add_argument("--peers", action="store_true", help="install and measure them")
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    options = parser.parse_args()
    model.main()
    home = model.HOME / "run"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    bench = Bench(home, with_peers=options.peers, is_quick=options.quick)
    for name in options.only:
        began = time.perf_counter()
        print(format_result(SCENARIOS[name](bench)))
        print(f"({time.perf_counter() - began:.0f} s)\n", flush=True)
    for name, reason in bench.missing.items():
        print(f"{name} was not measured: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
