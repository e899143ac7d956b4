"""Application for the tests of `service.server.worker`: no models, a slow call."""

import os
import time
from pathlib import Path

from service.api.body import BodyBudget, read_body, release_body
from service.api.problems import answer_problem
from service.api.v1.lines import Lines
from service.errors import CarryoverError
from service.server import worker

for name in ("SILENT_SECONDS", "STOP_TIMEOUT_SECONDS"):
    setattr(worker, name, float(os.environ.get(name, getattr(worker, name))))
HOME = Path(os.environ.get("APP_HOME", "."))
LARGE_BYTES = 20_000_000


def hold():
    """Wait until a file says to go on."""
    (HOME / "waiting").touch()
    while not (HOME / "release").exists():
        time.sleep(0.005)


def note():
    """Write down that this was asked."""
    with (HOME / "notes").open("a") as notes:
        notes.write("x")


def compute():
    """Take a moment without giving way."""
    end = time.perf_counter() + 0.05
    while time.perf_counter() < end:
        pass


BODIES = BodyBudget()
CALLS = {"/hold": hold, "/note": note, "/slow": compute}


def echo_lines(lines):
    """Answer lines as they come, as a stream does."""
    lines.start()
    try:
        while batch := lines.take():
            for line in batch:
                is_bad = isinstance(line.content, CarryoverError)
                yield f"{line.content.detail}\n".encode() if is_bad else line.content
    finally:
        lines.close()


def app(environ, start_response):
    """Echo a body, but for /ignore; /large answers megabytes, /lines line by line."""
    path = environ["PATH_INFO"]
    if path == "/lines":
        start_response("200 OK", [("Connection", "close")])
        return echo_lines(Lines(environ["wsgi.input"], 1000))
    CALLS.get(path, lambda: None)()
    status, content = "200 OK", bytes(LARGE_BYTES if path == "/large" else 0)
    if path not in ("/ignore", "/large"):
        try:
            content = read_body(environ, 100_000, BODIES, "")
        except CarryoverError as error:
            answer = answer_problem(error)
            status, content = f"{answer.status} Refused", answer.body
        finally:
            release_body(environ)
    start_response(status, [("Content-Length", str(len(content)))])
    return [content]
