"""The rules of the tests' own code, over every file of it."""

from __future__ import annotations

import ast
import contextlib
import re
import textwrap

from tests.servers import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in FILES}
# Joined in one place, so that a further part is added in one place.
JOINED = {"Engine", "Services", "Sessions"}
ASSEMBLY = "tests/assembly.py"
# Where a loop may sleep: here, in programs that run without the tests' helpers, and
# where a server that does not start is stopped with its log.
WAITING = "tests/waiting.py"
PROGRAMS = {
    "tests/container/visit.py",
    "tests/end_to_end/gated_shadow_app.py",
    "tests/framing/__main__.py",
    "tests/servers.py",
    "tests/service/worker_app.py",
}
# Public names that begin with an underscore: of named tuples, and `os._exit`.
PUBLIC = {"_replace", "_fields", "_asdict", "_make", "_exit"}


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


def find_loops(tree):
    """Yield the lines of loops that sleep until something is true."""
    for loop in ast.walk(tree):
        if isinstance(loop, ast.While):
            calls = {ast.unparse(n.func) for n in ast.walk(loop) if is_call(n)}
            if calls & {"time.sleep", "sleep", "threading.Event().wait"}:
                yield loop.lineno


def is_call(node):
    return isinstance(node, ast.Call)


def test_one_function_waits_for_conditions():
    # The others are programs of their own, or wait for what nothing can ask for.
    found = {path for path, tree in TREES.items() if [*find_loops(tree)]}

    assert found == {WAITING, *PROGRAMS}, "use tests.waiting"


def test_loops_that_sleep_are_found_however_they_sleep():
    calls = ("time.sleep(1)", "sleep(0.1)", "threading.Event().wait(1)", "stop.wait(1)")
    found = [[*find_loops(ast.parse(f"while not x:\n  {call}"))] for call in calls]

    assert found == [[1], [1], [1], []]


def name_function(call):
    """The last name of what is called, such as `setattr` of `monkeypatch.setattr`."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def read_program(node):
    """Return a string that is a program, such as one for another process, as a tree."""
    text = node.value if isinstance(node, ast.Constant) else ""
    if isinstance(text, str) and "import " in text:
        with contextlib.suppress(SyntaxError):
            return ast.parse(textwrap.dedent(text))
    return None


def find_private(tree):
    """Attributes that belong to others: `x._y`, or `setattr(x, "_y", ...)`."""
    for node in ast.walk(tree):
        if program := read_program(node):
            yield from find_private(program)
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            names = [node.attr] if owner not in ("self", "cls") else []
        elif isinstance(node, ast.Call) and name_function(node).endswith("attr"):
            given = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant)]
            names = [name for name in given if isinstance(name, str)]
        else:
            continue
        for name in names:
            if re.match("_[^_]", name) and name not in PUBLIC:
                yield f"line {node.lineno}: {name}"


def test_no_file_uses_private_names_of_others():
    found = {path: [*find_private(tree)] for path, tree in TREES.items()}
    found = {path: lines for path, lines in found.items() if lines}

    assert not found, "use public names, or give the part one"


def test_private_names_are_found_wherever_they_are_used():
    code = "x._a = y.z._b(); setattr(q, '_c', 1); self._d; t._replace(); u.__e__"

    for text in (code, f"run({f'import x; {code}'!r})"):  # a program in a string
        names = [line.split()[-1] for line in find_private(ast.parse(text))]
        assert sorted(names) == ["_a", "_b", "_c"]
