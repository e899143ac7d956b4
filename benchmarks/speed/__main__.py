"""Measure the service: `python -m benchmarks.speed [--peers] [--quick] [--only ...]`.

Prints every table when it is measured, and writes the whole run to `.bench/`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from contextlib import ExitStack

from benchmarks import model
from benchmarks.speed.bench import Bench
from benchmarks.speed.contenders import FLASK, FLOOR, OURS, TRITON
from benchmarks.speed.report import format_result
from benchmarks.speed.scenarios import single_events

SCENARIOS = {
    "throughput": single_events.throughput,
    "latency": single_events.latency,
}


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
    bench = Bench(home, is_quick=options.quick)
    with ExitStack() as stack:
        bench.start([OURS, FLASK, FLOOR] + [TRITON] * options.peers, stack)
        for name in options.only:
            print(format_result(SCENARIOS[name](bench)), flush=True)
    for name, reason in bench.missing.items():
        print(f"{name} was not measured: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
