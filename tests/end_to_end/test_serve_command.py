"""`python -m service`, which `make serve` runs, in a terminal of its own."""

import os
import pty
import re
import signal
import subprocess
import sys

import pytest
import requests

from tests.servers import ROOT, Server

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]


def read_until(terminal, pattern):
    """Read what the terminal shows until a pattern appears or it closes."""
    shown = b""
    while not re.search(pattern, shown):
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
    assert requests.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=10).ok

    process.send_signal(number)
    shown = read_until(terminal, rb"the sessions are kept\r\n$")
    assert process.wait(30) == 0
    assert "stopped; the sessions are kept" in shown
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/v2/health/live", timeout=10)
    os.close(terminal)


def test_bad_setting_stops_the_start_with_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env={**os.environ, "CARRYOVER_PORT": "http"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: CARRYOVER_PORT has value 'http'; expected")
    assert "Traceback" not in done.stderr


def test_help_lists_every_setting():
    done = subprocess.run(
        [sys.executable, "-m", "service", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "`CARRYOVER_MEMORY` | `lmdb://var/memory`" in done.stdout
