"""`python -m service`, which `make serve` runs, in a terminal of its own."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.servers import ROOT, Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]


def read_until(terminal, pattern):
    """Read what the terminal shows until a pattern appears or it closes."""
    shown, deadline = b"", time.monotonic() + 120
    while not re.search(pattern, shown):
        seconds = max(0, deadline - time.monotonic())
        assert select.select([terminal], [], [], seconds)[0], shown
        try:
            block = os.read(terminal, 4096)
        except OSError:  # Linux says EIO once the other side has closed
            break
        if not block:
            break
        shown += block
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"]
)
def test_command_announces_itself_and_stops_cleanly(exported, tmp_path, number):
    environ = Server(exported[0], tmp_path).environ
    port = environ["CARRYOVER_PORT"]
    terminal, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=environ,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)

    shown = read_until(terminal, rb"Ctrl-C stops it")
    assert f"ready: http://127.0.0.1:{port}" in shown
    assert "models: label, next-gru, next-lstm, next-rnn, series" in shown
    assert requests.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=60).ok

    process.send_signal(number)
    shown = read_until(terminal, rb"the sessions are kept\r\n$")
    assert process.wait(30) == 0
    assert "stopped; the sessions are kept" in shown
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/v2/health/live", timeout=60)
    os.close(terminal)


def test_killed_command_takes_the_service_with_it(exported, tmp_path):
    environ = Server(exported[0], tmp_path).environ
    with (tmp_path / "shown").open("wb") as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", "service"], cwd=ROOT, env=environ, stdout=shown
        )
    (child,) = wait_until(lambda: list_children(process.pid))

    process.kill()
    process.wait()

    wait_until(lambda: is_gone(child))


def list_children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_gone(pid):
    """Return whether a process has ended, or is only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def start_in_vain(environ):
    return subprocess.run(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"CARRYOVER_PORT": "http"}, "CARRYOVER_PORT has value 'http'; expected"),
        ({"CARRYOVER_MODELS": "/nowhere"}, "no model is in CARRYOVER_MODELS"),
        ({"CARRYOVER_MEMORY": "lmdb://var/m?foo=1"}, "CARRYOVER_MEMORY: An option"),
        ({"CARRYOVER_MEMORY": "redis://host/0x"}, "CARRYOVER_MEMORY: "),
    ],
)
def test_start_that_cannot_succeed_ends_in_one_sentence(settings, words):
    done = start_in_vain({**os.environ, **settings})

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1


def test_taken_port_is_reported_before_anything_starts(exported, tmp_path):
    environ = Server(exported[0], tmp_path).environ
    with socket.create_server(("127.0.0.1", int(environ["CARRYOVER_PORT"]))):
        done = start_in_vain(environ)

    assert done.returncode == 2
    assert "make serve PORT=8081" in done.stderr
    assert "ready" not in done.stdout


def test_help_lists_every_setting():
    done = subprocess.run(
        [sys.executable, "-m", "service", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "`CARRYOVER_MEMORY` | `lmdb://var/memory`" in done.stdout
