"""Starts the contenders, each in processes of its own on a free port.

Knows processes, ports and readiness; not what a contender is or does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from benchmarks.model import ROOT
from benchmarks.speed.access import HEADER

READY_SECONDS = 120.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.01
# Not through a proxy of the environment: it would not know this machine's loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Launch(NamedTuple):
    """Command, environment and readiness of a contender's start.

    Args:
        command: The program and its arguments; `{port}` stands for the port.
        environ: Added to the environment; `{port}` likewise.
        ready: Path that answers 2xx once it is ready.
        cwd: Where it runs.
    """

    command: Sequence[str | Path]
    environ: Mapping[str, str]
    ready: str
    cwd: Path = ROOT


class StartError(Exception):
    """A contender ended, was not ready in time, or does not answer as it should."""


class Server:
    """A running contender; use it as a context manager.

    Args:
        name: The contender's name; its log is named so.
        launch: How to start it.
        home: Folder for the log.
    """

    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def __init__(self, name: str, launch: Launch, home: Path) -> None:
        self.name = name
        self.launch = launch
        self.log_path = home / f"{name.replace(' ', '-')}.log"
        self.port = free_port()
        self.ready_seconds = 0.0

    def __enter__(self) -> Server:
        """Start, and wait until it is ready."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.log = self.log_path.open("wb")
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [self._fill(str(part)) for part in self.launch.command],
            cwd=self.launch.cwd,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - began
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _fill(self, text: str) -> str:
        return text.replace("{port}", str(self.port))

    def _environ(self) -> dict[str, str]:
        inherited = {
            k: v
            for k, v in os.environ.items()
            # As in the image: its modules are compiled.
            if "CARRYOVER_" not in k and k != "PYTHONDONTWRITEBYTECODE"
        }
        added = self.launch.environ.items()
        return inherited | {k: self._fill(v) for k, v in added}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                url = f"http://127.0.0.1:{self.port}{self.launch.ready}"
                with OPENER.open(url, timeout=READY_SECONDS):
                    return
            except OSError:
                time.sleep(POLL_SECONDS)  # not listening yet, or still loading
        end = self.log_path.read_text(errors="replace")[-2000:]
        raise StartError(f"it did not start; the end of its log:\n{end}")

    def stop(self) -> None:
        """Ask it to stop; kill what stays."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # Some peers leave workers behind; all are of the session begun for them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()

    def post(self, path: str, body: str, timeout_seconds: float = 60.0) -> bytes:
        """POST a body and return the answer's.

        Raises:
            StartError: There is no answer, or it is an error.
        """
        url = f"http://127.0.0.1:{self.port}{path}"
        headers = {"Content-Type": "application/json", "Authorization": HEADER}
        request = urllib.request.Request(url, body.encode(), headers)
        try:
            with OPENER.open(request, timeout=timeout_seconds) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            text = error.read()[:120].decode(errors="replace")
            raise StartError(f"{path} answers {error.code}: {text}") from None
        except OSError as error:
            raise StartError(f"{path} does not answer: {error}") from None


def free_port() -> int:
    """Find a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children(pid: int) -> list[int]:
    """List the processes that a process started, oldest first."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def resident_megabytes(pid: int) -> float:
    """Read how much memory of a process is resident, shared pages too, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(kilobytes) * 1024 / 1e6
