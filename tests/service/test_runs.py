"""Runs that share a state keep apart, and leave nothing when they have ended."""

import os
import subprocess
import sys

import pytest

from service.common.runs import RUN_VARIABLE, name_run, open_run

RUN = """
import sys
from pathlib import Path
from service.common.runs import open_run
print(open_run(Path(sys.argv[1]), "metrics"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start_run():
    """Start a process of another run; its number says nothing to this one."""
    started = []

    def start(state, name):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, state],
            env={**os.environ, RUN_VARIABLE: name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline().strip()
        return process

    yield start
    for process in started:
        process.communicate()


def runs(state):
    return sorted(run.name for run in (state / "runs").iterdir())


def test_run_clears_away_those_that_ended_and_no_other(tmp_path, start_run):
    first = start_run(tmp_path, "1-5-5")
    (tmp_path / "runs" / "of-no-process").mkdir()

    second = start_run(tmp_path, "1-7-7")

    assert runs(tmp_path) == ["1-5-5", "1-7-7"]
    first.communicate()
    assert open_run(tmp_path, "metrics").parent.name == name_run()
    assert runs(tmp_path) == sorted(["1-7-7", name_run()])
    second.communicate()


def test_run_lives_as_long_as_any_of_its_processes(tmp_path, start_run):
    arbiter, worker = (start_run(tmp_path, "one") for _ in range(2))
    arbiter.communicate()

    start_run(tmp_path, "other")

    assert runs(tmp_path) == ["one", "other"]
    worker.communicate()


def test_run_without_room_has_no_folder(tmp_path, caplog):
    (tmp_path / "runs").touch()  # any error of the system is treated alike

    assert open_run(tmp_path, "metrics") is None
    assert "each worker counts alone" in caplog.text
