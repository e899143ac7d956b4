"""Command that trains what `docs/explanation/results.md` lacks and writes that page.

    python -m benchmarks.results --data FOLDER [--only NAME ...] [--again]
    python -m benchmarks.results --page

Each training is kept in `docs/explanation/results.json` when it ends, so that what was
interrupted continues. A data set that FOLDER does not have is skipped, with its reason.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results.page import write_page
from benchmarks.results.problem import Job, Problem, list_jobs
from benchmarks.results.problems import PROBLEMS
from benchmarks.results.records import read_records, write_record
from training.native_log import silence_native_log

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "results.md"
RECORDS = PAGE.with_suffix(".json")
# Relative, so that no path of a machine is part of a run.
WORK = Path(".bench/results")


def main() -> int:
    """Train what is missing, each in a process of its own, and write the page."""
    options = parse_options()
    os.chdir(ROOT)
    problems = [p for p in PROBLEMS if not options.only or p.name in options.only]
    if options.jobs:
        with silence_native_log():
            from benchmarks.results.train import train  # TensorFlow, for seconds

        for job in list_jobs(problems):
            if job.key in options.jobs:
                write_record(RECORDS, job.key, train(job, WORK))
        return 0
    failed = [] if options.page else run_all(problems, options)
    write_page(PROBLEMS, read_records(RECORDS), PAGE)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return int(bool(failed))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("CARRYOVER_DATA"),
        help="folder of the data sets; CARRYOVER_DATA without it",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[p.name for p in PROBLEMS],
        metavar="NAME",
        help=f"of {', '.join(p.name for p in PROBLEMS)}",
    )
    parser.add_argument("--again", action="store_true", help="train all once more")
    parser.add_argument("--page", action="store_true", help="train nothing, write")
    parser.add_argument("--network", metavar="TEXT", help="in the network's name")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="only the first N seeds of a network"
    )
    parser.add_argument("--jobs", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_all(problems: Sequence[Problem], options: argparse.Namespace) -> list[str]:
    """Train what has no record, a network a process; return what failed."""
    ready = [p for p in problems if prepare(p, options.data)]
    kept = {} if options.again else read_records(RECORDS)
    missing = [
        job
        for job in list_jobs(ready, options.seeds)
        if job.key not in kept and (options.network or "") in job.variant.name
    ]
    failed = []
    for batch in group_jobs(missing):
        keys = [job.key for job in batch]
        print(f"\n=== {missing.index(batch[0]) + 1} of {len(missing)}: {keys}")
        sys.stdout.flush()
        command = [sys.executable, "-m", "benchmarks.results", "--jobs", *keys]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed += keys
    for key in failed:
        print(f"failed: {key}, or one after it")
    return failed


def group_jobs(jobs: Sequence[Job]) -> list[list[Job]]:
    """Put the parts of a network and a seed together, as they come one by one."""
    by_network = itertools.groupby(
        jobs, lambda j: (j.problem.name, j.variant.name, j.seed)
    )
    return [list(group) for _, group in by_network]


def prepare(problem: Problem, data: Path | None) -> bool:
    """Write a problem's files; say why where it has none."""
    if problem.files and data is None:
        print(f"skipped: {problem.name} needs files; give their folder by --data")
        return False
    folder = data or Path()
    absent = [name for name in problem.files if not (folder / name).exists()]
    if absent:
        print(f"skipped: {problem.name}, as {folder / absent[0]} is not there")
        return False
    work = WORK / problem.name
    work.mkdir(parents=True, exist_ok=True)
    problem.prepare(folder, work)
    return True


if __name__ == "__main__":
    sys.exit(main())
