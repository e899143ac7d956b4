"""Runs wrk, the load generator, and reads what it measured.

Knows how requests get into wrk and figures out of it; not what is asked of whom.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.speed.access import HEADER

SCRIPT = Path(__file__).with_name("requests.lua")
# How much longer than asked for a run may take before it is given up.
TIMEOUT_SECONDS = 30.0


class LoadError(Exception):
    """A run did not measure what it was to measure."""


class Load(NamedTuple):
    """Requests in a file.

    Args:
        path: Where they are posted.
        file: One body a line.
        num_visits: Lines per session: the first visit, and those that are repeated.
    """

    path: str
    file: Path
    num_visits: int


class Run(NamedTuple):
    """Result of one run of wrk.

    Args:
        requests: Answered requests.
        events: Events in them.
        seconds: How long it ran.
        failed: Connections that broke, and answers other than 2xx and 3xx.
        p50_us: Median latency, in microseconds; the others are as named.
    """

    requests: int
    events: int
    seconds: float
    failed: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int

    @property
    def requests_per_second(self) -> float:
        """Answered requests per second."""
        return self.requests / self.seconds

    @property
    def events_per_second(self) -> float:
        """Answered events per second."""
        return self.events / self.seconds


def write_load(
    file: Path,
    path: str,
    sessions: Iterable[Sequence[str]],
    *,
    count_events: Callable[[str], int] = lambda _: 1,
) -> Load:
    """Write the bodies of every session, each its first visit and the following.

    Args:
        file: What to write.
        path: Where they will be posted.
        sessions: The bodies of each.
        count_events: Counts how many events a body has.

    Raises:
        ValueError: Sessions have different numbers of visits.
    """
    bodies = list(sessions)
    num_visits = {len(visits) for visits in bodies}
    if len(num_visits) != 1:
        raise ValueError(f"sessions have {num_visits} visits; give each as many.")
    lines = (f"{count_events(body)} {body}\n" for visits in bodies for body in visits)
    file.write_text("".join(lines))
    return Load(path, file, num_visits.pop())


def run_wrk(port: int, load: Load, *, connections: int, seconds: float) -> Run:
    """Send a load as fast as a number of connections answer.

    Raises:
        LoadError: wrk is missing, failed, or some answers were errors.
    """
    command = start_wrk(port, load, connections=connections, seconds=seconds)
    return finish_wrk(command, seconds)


def start_wrk(
    port: int, load: Load, *, connections: int, seconds: float
) -> subprocess.Popen[str]:
    """Begin sending, and return at once.

    Raises:
        LoadError: wrk is not installed.
    """
    program = shutil.which("wrk")
    if program is None:
        raise LoadError("there is no wrk; on Debian: apt-get install wrk")
    # A thread per connection: only so does a request follow the answer to the one
    # before it in its session. (Two threads for all would send neither more nor less.)
    threads = str(connections)
    url = f"http://127.0.0.1:{port}"
    # wrk counts in whole seconds.
    for_seconds = f"{max(1, round(seconds))}s"
    options = ["-t", threads, "-c", str(connections), "-d", for_seconds]
    arguments = [load.path, str(load.file), str(load.num_visits), threads, HEADER]
    return subprocess.Popen(
        [program, *options, "--timeout", "20s", "-s", SCRIPT, url, "--", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish_wrk(process: subprocess.Popen[str], seconds: float) -> Run:
    """Wait for wrk and read its last line.

    Raises:
        LoadError: It failed, or some answers were errors.
    """
    output, _ = process.communicate(timeout=seconds + TIMEOUT_SECONDS)
    last = output.strip().rpartition("\n")[2]
    if process.returncode or not last.startswith("{"):
        raise LoadError(f"wrk failed:\n{output}")
    run = Run(**json.loads(last))
    if run.failed:
        raise LoadError(f"{run.failed} of {run.requests} requests failed:\n{output}")
    return run
