"""A service of gunicorn's worker, and bytes of its connections."""

import os
import socket
import subprocess
import sys
import time

import requests

from tests.servers import ROOT, free_port
from tests.waiting import TIMEOUT_SECONDS, wait_until

# One that stops by itself needs two seconds, and many times that on a busy machine;
# what it must not wait for lasts longer, and so does gunicorn's patience.
STOP_SECONDS = 60
WITHOUT_END = "300"


class Service:
    """The worker around the small application.

    Args:
        home: Folder for its files.
        **environ: Its further environment.
    """

    def __init__(self, home, **environ):
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = (
            *("gunicorn", "-k", "service.server.worker.Worker", "--no-control-socket"),
            *("-b", f"127.0.0.1:{self.port}", "--graceful-timeout", "120"),
            "tests.service.worker_app:app",
        )
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**os.environ, "APP_HOME": str(home), **environ},
                stderr=log,
            )
        wait_until(self.answers)

    def answers(self):
        try:
            return requests.get(self.url, timeout=TIMEOUT_SECONDS).ok
        except requests.ConnectionError:
            return False

    def connect(self):
        address = ("127.0.0.1", self.port)
        return socket.create_connection(address, timeout=TIMEOUT_SECONDS)

    def stop(self):
        """Stop it by SIGTERM; return how many seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(TIMEOUT_SECONDS)
        return time.monotonic() - began


def start(tmp_path):
    """Start services, and stop each of them at the end."""
    services = []

    def build(**environ):
        services.append(Service(tmp_path, **environ))
        return services[-1]

    yield build
    for service in services:
        service.process.kill()
        service.process.wait()


def read_all(client):
    """Read until the other side ends the connection."""
    received = b""
    while block := client.recv(65536):
        received += block
    return received
