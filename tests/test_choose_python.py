"""Choice of the environment's Python where none is named."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT

SYSTEM = Path("/usr/bin/python3")


def choose(folder, answer):
    """Choose beside a `python3` that answers so when it is measured."""
    mine = folder / "python3"
    mine.write_text(f"#!/bin/sh\n{answer}\n")
    mine.chmod(0o755)
    return subprocess.run(
        [ROOT / ".ci" / "choose_python"],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def system():
    """The system's Python, where it can make environments."""
    able = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    if not SYSTEM.exists() or subprocess.run([SYSTEM, "-c", able]).returncode:
        pytest.skip(f"{SYSTEM} cannot make environments of Python 3.11 or newer")
    return str(SYSTEM)


def test_python_that_takes_much_longer_than_the_systems_is_not_used(tmp_path, system):
    chosen = choose(tmp_path, "echo 60000000")  # a minute

    assert chosen.stdout == f"{system}\n"
    assert "make PYTHON=python3" in chosen.stderr


@pytest.mark.parametrize("answer", ["echo 1", "exit 1"], ids=["quick", "unusable"])
def test_python_of_the_path_is_used_otherwise(tmp_path, answer):
    chosen = choose(tmp_path, answer)

    assert (chosen.stdout, chosen.stderr) == ("python3\n", "")
