"""The rules of the tests' own code, over every file of it."""

from __future__ import annotations

import ast

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
