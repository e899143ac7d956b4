"""An open loop: requests arrive at random times, the last one answered or not.

wrk waits for each answer before it asks again, so a slow server is asked less and its
delays go uncounted. Here a request is due at a time drawn before, and its latency
counts from then, as in wrk2. `open_loop.c` sends: a client in Python would take as much
of the machine as the server does.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from benchmarks.model import HOME
from benchmarks.speed.access import HEADER
from benchmarks.speed.wrk import LoadError

SOURCE = Path(__file__).with_suffix(".c")
TIMEOUT_SECONDS = 60.0


class OpenRun(NamedTuple):
    """Result of an open loop: median and slowest hundredth, in seconds."""

    p50_seconds: float
    p99_seconds: float


def format_request(path: str, body: str) -> bytes:
    """Write a whole HTTP request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: {HEADER}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def run_open_loop(
    port: int,
    path: str,
    sessions: Sequence[Sequence[str]],
    *,
    rate: float,
    connections: int,
    seconds: float,
) -> OpenRun:
    """Send requests at random times over connections that are free.

    Args:
        port: Where the server listens.
        path: What is posted to.
        sessions: Bodies of each session; one connection visits a session, and visits
            its sessions in turn.
        rate: Arrivals per second.
        connections: How many requests may be under way.
        seconds: How long requests arrive.

    Raises:
        LoadError: The server answers errors or cannot follow; or there is no compiler.
    """
    due = arrivals(rate, seconds)
    lines = [b"%d\n" % len(due), *(b"%.9f\n" % second for second in due)]
    for k in range(connections):
        visits = zip(*sessions[k::connections], strict=True)
        requests = [format_request(path, body) for body in chain(*visits)]
        lines.append(b"%d\n" % len(requests))
        lines += [b"%d\n%b" % (len(request), request) for request in requests]
    done = subprocess.run(
        [compile_client(), str(port)],
        input=b"".join(lines),
        capture_output=True,
        timeout=seconds + TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise LoadError(f"the open loop ended: {done.stderr.decode(errors='replace')}")
    p50, p99 = map(float, done.stdout.split())
    return OpenRun(p50, p99)


def arrivals(rate: float, seconds: float) -> list[float]:
    """Draw when requests are due, in seconds from the beginning."""
    rng = random.Random(7)
    due, times = 0.0, list[float]()
    while due < seconds:
        times.append(due)
        due += rng.expovariate(rate)
    return times


@cache
def compile_client() -> Path:
    """Compile the client, and return where it is.

    Raises:
        LoadError: There is no compiler of C, or it refuses.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise LoadError("there is no cc; on Debian: apt-get install gcc libc6-dev")
    program = HOME / "open_loop"
    program.parent.mkdir(exist_ok=True)
    partial = program.with_suffix(".partial")
    command = [compiler, "-O2", "-Wall", "-o", str(partial), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"{SOURCE} does not compile:\n{done.stderr}")
    return partial.replace(program)
