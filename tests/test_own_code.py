"""The rules of the tests' own code, over every file of it."""

from __future__ import annotations

import ast
import json
from types import SimpleNamespace

from tests import scheduling
from tests.scheduling import main, read_record, sort_by_length
from tests.servers import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in FILES}
# Joined in one place, so that a further part is added in one place.
JOINED = {"Engine", "Services"}
ASSEMBLY = "tests/assembly.py"


def find_calls(tree):
    """The calls of a name, such as a class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


def test_parts_of_the_service_are_joined_in_one_place():
    found = {
        (path, line)
        for path, tree in TREES.items()
        for name, line in find_calls(tree)
        if name in JOINED
    }

    assert {path for path, _ in found} == {ASSEMBLY}, (found, "use tests.assembly")


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


def test_files_with_recorded_seconds_exist():
    assert set(read_record()) <= TREES.keys()


def test_seconds_are_recorded_by_file(tmp_path, monkeypatch):
    report, record = tmp_path / "junit.xml", tmp_path / "seconds.json"
    case = '<testcase classname="{}" name="x" time="{}"/>'
    cases = [("tests.a.test_b", 6), ("tests.a.test_b", 7.2), ("tests.test_c", 9.9)]
    report.write_text(f"<s>{''.join(case.format(*one) for one in cases)}</s>")
    monkeypatch.setattr(scheduling, "RECORD", record)

    main(report)

    assert json.loads(record.read_text()) == {"tests/a/test_b.py": 13}
