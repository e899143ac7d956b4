"""Draws where a worker's time goes under load: `python -m benchmarks.speed.profile`.

A flame graph by py-spy of one worker while 16 connections send single events. The
width of a frame is its share of the time; time off the processor does not count.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmarks import model
from benchmarks.speed.bench import new_bench
from benchmarks.speed.contenders import OURS
from benchmarks.speed.servers import children

SECONDS = 8
# Samples a second: a request takes a few hundred microseconds.
RATE = 500
TITLE = "One worker of the service, single events of sessions"
PICTURE = model.ROOT / "docs" / "images" / "hot-path.svg"


def main() -> None:
    """Profile a worker and write the picture."""
    model.main()
    bench = new_bench()
    with bench.running(OURS) as servers:
        server = servers[OURS.name]
        send = bench.single_events(server, OURS, connections=16, seconds=SECONDS + 4)
        command = record(children(server.process.pid)[0], PICTURE)
        send()
        if command.wait():
            sys.exit("py-spy failed: it needs the right to trace processes (root)")
    name_picture(PICTURE)
    print(f"wrote {PICTURE}")


def record(pid: int, picture: Path) -> subprocess.Popen[bytes]:
    """Begin to sample a process."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    program = Path(sys.executable).with_name("py-spy")
    options = {
        "--pid": str(pid),
        "--output": str(picture),
        "--duration": str(SECONDS),
        "--rate": str(RATE),
    }
    command = [
        str(program),
        "record",
        *(part for pair in options.items() for part in pair),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def name_picture(picture: Path) -> None:
    """Title a flame graph; py-spy would show its command, with this machine's paths."""
    text = re.sub(r">[^<>]*py-spy record[^<>]*<", f">{TITLE}<", picture.read_text())
    picture.write_text(text)


if __name__ == "__main__":
    main()
