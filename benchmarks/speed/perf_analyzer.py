"""`perf_analyzer`, Triton's own load generator: a run of it, and its figures.

It is not installed here: `PERF_ANALYZER` names the program, or it is on the path.
Sequences, binary tensors in and out, one connection per request under way.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.speed.access import HEADER
from benchmarks.speed.wrk import LoadError

EVENTS_OF_A_SEQUENCE = 64
SHAPE = [1]
NUM_SEQUENCES = 32
MAX_SECONDS = 120.0
SUMMARY = re.compile(r"throughput: ([0-9.]+) infer/sec")
MEDIAN = re.compile(r"p50 latency: ([0-9]+) usec")
TAIL = re.compile(r"p99 latency: ([0-9]+) usec")


class Figures(NamedTuple):
    """Figures of one run of perf_analyzer."""

    requests_per_second: float
    p50_us: float
    p99_us: float


def find_program() -> str | None:
    """Find the program; None where there is not one."""
    return shutil.which(os.environ.get("PERF_ANALYZER", "perf_analyzer"))


def write_events(file: Path, name: str, events: Sequence[int | str]) -> Path:
    """Write the events of sequences as the program reads them.

    Args:
        file: Where to.
        name: Of the input tensor.
        events: Events, repeated to fill each sequence.
    """
    sequences = [
        [
            {name: {"content": [events[(k + start) % len(events)]], "shape": SHAPE}}
            for k in range(EVENTS_OF_A_SEQUENCE)
        ]
        for start in range(NUM_SEQUENCES)
    ]
    file.write_text(json.dumps({"data": sequences}))
    return file


def run_perf_analyzer(
    program: str,
    port: int,
    events: Path,
    *,
    concurrency: int,
    seconds: float,
    version: str = "",
) -> Figures:
    """Send sequences of events, and measure.

    Raises:
        LoadError: It fails, or prints no figures.
    """
    command = [program, "-m", "lstm", "-u", f"127.0.0.1:{port}", "-i", "http"]
    command += ["--input-data", str(events), "-H", f"Authorization:{HEADER}"]
    command += ["--concurrency-range", str(concurrency)]
    command += ["--input-tensor-format", "binary", "--output-tensor-format", "binary"]
    command += ["--measurement-interval", str(round(1000 * seconds))]
    # Three windows, however they differ: the harness repeats and takes the median.
    command += ["--stability-percentage", "999", "--max-trials", "3"]
    command += ["-x", version] if version else []
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoadError(f"perf_analyzer did not run: {error}") from None
    found = [pattern.search(done.stdout) for pattern in (SUMMARY, MEDIAN, TAIL)]
    figures = [float(match[1]) for match in found if match is not None]
    if len(figures) != len(found) or not figures[0]:
        end = (done.stdout + done.stderr)[-300:]
        raise LoadError(f"perf_analyzer printed no figures: {end}")
    return Figures(*figures)
