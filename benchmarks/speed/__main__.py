"""Measure the service: `python -m benchmarks.speed [--peers] [--quick] [--only ...]`.

Prints each table when it is measured, and writes the run to `.bench/`; `--publish`
writes it to `docs/`, and only a run with peers; tables that it lacks stay on the page.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time

from benchmarks import capacity, model
from benchmarks.speed.bench import Bench, new_bench
from benchmarks.speed.machine import describe_machine
from benchmarks.speed.plots import draw
from benchmarks.speed.report import (
    Run,
    format_result,
    format_targets,
    read_kept,
    write_run,
)
from benchmarks.speed.results import Result
from benchmarks.speed.scenarios import SCENARIOS
from benchmarks.speed.servers import StartError
from benchmarks.speed.wrk import LoadError


def main() -> int:
    """Run the scenarios asked for."""
    options = parse_options()
    # As Ctrl-C does: through every `with`, so that no contender is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    machine = describe_machine()
    model.main()
    bench = new_bench(with_peers=options.peers, is_quick=options.quick)
    results = [measure(bench, name) for name in options.only]
    print(format_targets(results))
    for name, reason in bench.missing.items():
        print(f"{name} was not measured: {reason}")
    docs = model.ROOT / "docs" if options.publish else model.HOME
    page = docs / "explanation" / "performance.md"
    data = page.with_suffix(".json")
    kept = read_kept(data, options.only) if options.publish else []
    write_run(Run(machine, results, bench.missing, kept), page, data)
    draw(results, docs / "images")
    if options.publish:
        capacity.main()
    print(f"written to {page}")
    return 0


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    names = list(SCENARIOS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    parser.add_argument("--peers", action="store_true", help="install and measure them")
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--publish", action="store_true", help="write docs/")
    options = parser.parse_args()
    if options.publish and (options.quick or not options.peers):
        parser.error("--publish is for runs with --peers and without --quick")
    return options


def measure(bench: Bench, name: str) -> Result:
    """Run one scenario and print it; one that fails costs no other its figures."""
    began = time.perf_counter()
    try:
        result = SCENARIOS[name](bench)
    except (LoadError, StartError) as error:
        result = Result(name, f"{name}: not measured", {}, note=str(error)[:300])
    print(format_result(result))
    print(f"({time.perf_counter() - began:.0f} s)\n", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
