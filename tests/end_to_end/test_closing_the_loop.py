"""The tutorial of the loop, command by command: serve, capture, drift, retrain."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys

import pytest
import requests

from tests.servers import ROOT, Server
from tests.waiting import wait_until
from training.__main__ import main

pytestmark = [pytest.mark.server, pytest.mark.tensorflow]

TUTORIAL = (ROOT / "docs" / "tutorial" / "closing-the-loop.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL, re.M | re.S)
TRAINING, SERVICE = (f".venv/bin/python -m {name} " for name in ("training", "service"))
SECONDS = 120


class Reader:
    """Follows the tutorial in a folder of its own.

    Args:
        home: Stands for `loop`.
    """

    def __init__(self, home):
        self.home = home
        self.blocks = iter(BLOCKS)
        self.names = {}

    def next_block(self):
        _, text = next(self.blocks)
        return text.replace("loop/", f"{self.home}/")

    def run(self):
        """Run the commands of the next block; the last one's status, and the output."""
        printed = io.StringIO()
        for line in self.next_block().splitlines():
            assert line.startswith(TRAINING)
            arguments = shlex.split(line.removeprefix(TRAINING))
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
            ):
                status = main(arguments)
        return status, printed.getvalue()

    def direct(self):
        """Run the next block's command against the service; what it answers."""
        line = self.next_block().strip()
        assert line.startswith(SERVICE)
        arguments = shlex.split(line.removeprefix(SERVICE))
        command = [sys.executable, "-m", "service", *arguments]
        done = subprocess.run(
            [*command, "--url", self.server.url], capture_output=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def serve(self):
        """Start the service with the settings of the next block."""
        words = shlex.split(self.next_block())
        pairs = [word.split("=", 1) for word in words if word.startswith("CARRYOVER_")]
        settings = {key.removeprefix("CARRYOVER_").lower(): v for key, v in pairs}
        models = settings.pop("models")
        self.server = Server(models, self.home, workers=2, **settings)
        return self.server

    def execute(self):
        """Run the next block of Python against the service."""
        text = self.next_block().replace("http://127.0.0.1:8080", self.server.url)
        exec(compile(text, "tutorial", "exec"), self.names)

    def await_captured(self, num_sessions):
        """Wait until complete files have all sessions, begun and whole."""
        readers = self.names["readers"][600 : 600 + num_sessions]

        def count_lines():
            files = (self.home / "capture" / "visits").glob("*.jsonl")
            return sum(file.read_bytes().count(b"\n") for file in files)

        wait_until(lambda: count_lines() == sum(map(len, readers)), count_lines, 0.1)

    def await_version(self, version):
        """Wait until the watch has loaded a version in every worker."""
        path = f"{self.server.url}/v1/models/visits/versions/{version}"
        wait_until(
            lambda: all(requests.get(path, timeout=SECONDS).ok for _ in range(20))
        )


def test_every_command_of_the_tutorial_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    reader = Reader(tmp_path)
    status, printed = reader.run()
    assert status == 0, printed

    with reader.serve():
        assert reader.direct()["stable"] == 1
        reader.execute()
        reader.await_captured(300)
        status, printed = reader.run()
        assert status == 0, printed
        assert "visits/1 has not drifted: 300 sessions" in printed

        reader.execute()
        reader.await_captured(1200)
        status, printed = reader.run()
        assert status == 3, printed
        assert "visits/1 has drifted: PSI of event" in printed
        assert "rise of surprise" in printed
        page = (tmp_path / "runs" / "visits" / "drift.html").read_text()
        assert "visits/1 has drifted" in page

        status, printed = reader.run()
        assert status == 0, printed
        assert "the new visits is better than visits/1" in printed

        reader.await_version("2")
        assert reader.direct()["canary"] == {"version": 2, "share": 0.2}
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            reader.execute()
        assert f"It prints {shown.getvalue().strip()}" in TUTORIAL
        assert reader.direct()["stable"] == 2
        reader.execute()
    assert next(reader.blocks, None) is None
