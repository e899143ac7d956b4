"""Starts the real service: gunicorn in a process of its own, on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

ROOT = Path(__file__).parents[1]
APPLICATION = "service.wsgi:app"
COMMAND = ("gunicorn", "-c", "python:service.gunicorn_config", APPLICATION)
READY_SECONDS = 180
STOP_SECONDS = 30


class Server:
    """A running service; use it as a context manager.

    Args:
        models: Folder of models.
        home: Folder for memory, key and log.
        application: What gunicorn serves.
        **settings: Further settings, by their lower-case names.
    """

    def __init__(
        self,
        models: Path,
        home: Path,
        application: str = APPLICATION,
        **settings: object,
    ) -> None:
        self.home = home
        self._command = [sys.executable, "-m", *COMMAND[:-1], application]
        self.process = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        chosen = {
            "models": models,
            "memory": f"lmdb://{home}/memory",
            "token_key_file": home / "token.key",
            "state": home / "state",
            "port": self.port,
            **settings,
        }
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CARRYOVER_")},
            **{f"CARRYOVER_{k.upper()}": str(v) for k, v in chosen.items()},
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until a worker answers; others may still be starting."""
        self.log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self.environ,
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/v2/health/ready", timeout=60).ok:
                    return
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.05)  # nothing listens yet, so nothing can be waited on
        self.stop()
        raise RuntimeError("the service did not start:\n" + self.read_log()[-3000:])

    def stop(self) -> None:
        """Stop as a supervisor would: SIGTERM, then SIGKILL for what stays."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def is_running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def read_log(self) -> str:
        """Return what the service has printed so far."""
        return (self.home / "log").read_text()

    def worker_pids(self) -> list[int]:
        """List gunicorn's workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    def predict(self, model: str, *instances: object, **body: object):
        """POST rows to `:predict`."""
        return self.post(model, "predict", {"instances": list(instances), **body})

    def post(self, model: str, verb: str, body: object):
        """POST a body to a model's call."""
        return requests.post(
            f"{self.url}/v1/models/{model}:{verb}", json=body, timeout=60
        )


def free_port() -> int:
    """Find a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
