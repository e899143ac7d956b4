"""Sends the corpus to stock servers and to the service's; prints what each gets wrong.

Run: python -m tests.framing [--verbose]
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.speed.environments import make_environment
from tests.framing.cases import Case
from tests.framing.client import send_bytes, split_answers
from tests.framing.corpus import CORPUS
from tests.servers import ROOT, free_port

# Of a server that does not close; some do not, which is what is found out.
SECONDS = 3
OWN = "service.server.worker.Worker"
ASGI, WSGI = "tests.framing.echo:asgi", "tests.framing.echo:wsgi"
# By class of gunicorn's workers; the service's own needs the service's environment.
SERVERS = {
    OWN: WSGI,
    "asgi": ASGI,
    "uvicorn_worker.UvicornWorker": ASGI,
    "gthread": WSGI,
    "sync": WSGI,
    "gevent_pywsgi": WSGI,
}


def main() -> None:
    """Print a line a server."""
    is_verbose = "--verbose" in sys.argv
    stock = make_environment("asgi") / "bin" / "python"
    for worker, application in SERVERS.items():
        python = Path(sys.executable) if worker == OWN else stock
        wrong = try_server(python, worker, application)
        print(
            f"{worker:30} {len(wrong):3} of {len(CORPUS)} answered otherwise",
            flush=True,
        )
        for line in wrong if is_verbose else ():
            print(f"  {line}")


def try_server(python: Path, worker: str, application: str) -> list[str]:
    """Start a server, send every case, and describe those with another answer."""
    port = free_port()
    command = [python, "-m", "gunicorn", "-k", worker, "-b", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "--threads", "4", application],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        found = [(case, answer(port, case)) for case in CORPUS]
    finally:
        process.terminate()
        process.wait()
    return [f"{c.name[:60]}: {a}" for c, a in found if a not in c.expected]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: It ended before.
    """
    while process.poll() is None:
        try:
            send_bytes(port, CORPUS[-1].sent, SECONDS)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args} ended with {process.returncode}")


def answer(port: int, case: Case) -> object:
    """Return the statuses that a case is answered with, or what went wrong."""
    try:
        received = send_bytes(port, case.sent, SECONDS)
        return tuple(answer.status for answer in split_answers(received))
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


if __name__ == "__main__":
    main()
