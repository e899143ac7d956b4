"""The order of the tests, and the record of which of them take long."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.scheduling import name_function, read_record, sort_by_length
from tests.servers import ROOT

CONFTEST = """
import time
from pathlib import Path
import pytest
from tests import scheduling
scheduling.RECORD = Path("seconds.json")
scheduling.LONG_SECONDS, scheduling.SLOW_SECONDS, scheduling.SHARED_SECONDS = 1, .5, .2

@pytest.fixture(scope="session")
def whole_run():
    time.sleep(0.6)

@pytest.fixture(scope="module")
def shared():
    time.sleep(0.3)

def pytest_configure(config):
    config.pluginmanager.register(scheduling.Recorder())
"""
PAUSING = """
import time
import pytest

@pytest.mark.parametrize("seconds", [0.01, 0.6])
def test_long_with_a_parameter(seconds, whole_run):
    time.sleep(seconds)

@pytest.mark.parametrize("k", range(3))
def test_long_in_all(k):
    time.sleep(0.2)

def test_short(whole_run):
    pass
"""
SHARES = """
def test_nothing_beside_what_it_shares(shared, whole_run):
    pass
"""


def collected(file, *marks):
    """A test as pytest collects it."""
    found = [SimpleNamespace(name=name) for name in marks]
    return SimpleNamespace(location=(file, 0, "test"), iter_markers=lambda: found)


def test_the_longest_files_are_first_and_their_tests_together():
    items = [
        *(collected("short.py"), collected("new.py"), collected("new.py", "server")),
        *(collected("long.py"), collected("short.py", "tensorflow")),
    ]

    sort_by_length(items, {"long.py": 50, "short.py": 11})

    # One that is not recorded counts as long as its marks are, its other tests too.
    files = ["long.py", "new.py", "new.py", "short.py", "short.py"]
    assert [item.location[0] for item in items] == files


@pytest.mark.parametrize("processes", [(), ("-n", "2", "--dist", "loadfile")])
def test_slow_functions_and_files_are_recorded(tmp_path, processes):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_pauses.py").write_text(PAUSING)
    (tmp_path / "test_shares.py").write_text(SHARES)

    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *processes],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=True,
        capture_output=True,
    )

    record = json.loads((tmp_path / "seconds.json").read_text())
    assert record["files"]["test_pauses.py"] >= 1
    assert record["slow"] == [
        "test_pauses.py::test_long_in_all",
        "test_pauses.py::test_long_with_a_parameter",
        "test_shares.py",
    ]


def test_what_is_recorded_exists():
    files, slow = read_record()
    functions = {
        f"{path.relative_to(ROOT)}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    known = functions | {name.partition("::")[0] for name in functions}

    assert {*files, *slow} <= known, "make test ALL=1 PYTEST=--record-seconds"


def test_parameters_are_no_part_of_a_function():
    assert name_function("tests/a.py::test_b[x::y[0]]") == "tests/a.py::test_b"
