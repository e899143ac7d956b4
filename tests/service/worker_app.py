"""A small application for `service.worker`: no models, and a call that takes long."""

import os
import time
from pathlib import Path

from service import worker
from service.body import read_body
from service.errors import CarryoverError
from service.problems import answer_problem

worker.SILENT_SECONDS = float(os.environ.get("SILENT_SECONDS", worker.SILENT_SECONDS))
HOME = Path(os.environ.get("APP_HOME", "."))


def app(environ, start_response):
    """Echo a body; under /hold, only once a file says so."""
    if environ["PATH_INFO"] == "/hold":
        (HOME / "held").touch()
        while not (HOME / "release").exists():
            time.sleep(0.005)
    status, content = "200 OK", b""
    if environ["PATH_INFO"] != "/ignore":
        try:
            content = read_body(environ, 100_000)
        except CarryoverError as error:
            answer = answer_problem(error)
            status, content = f"{answer.status} Refused", answer.body
    start_response(status, [("Content-Length", str(len(content)))])
    return [content]
