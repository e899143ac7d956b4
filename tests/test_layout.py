"""The rooms of the code: imports, modules at the top, sizes, one name for one class."""

import ast
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.servers import ROOT

MAX_TOP_MODULES = 8
MAX_LINES = 350
MAX_FUNCTION_LINES = 50  # without the docstring
PACKAGES = ("service", "models", "training", "benchmarks")
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
# Files that are longer, and how long they may be.
LONG_FILES = {
    "service/errors.py": 410,  # a class for each condition
    # One service for all, so that its last test sees which controls were used.
    "tests/playground/test_controls.py": 790,
    "training/tf_operations.py": 370,  # a row for each function of TensorFlow
}


def test_import_contracts_are_kept():
    command = [sys.executable.replace("python", "lint-imports"), "--no-cache"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_few_modules_stand_at_the_top_of_the_service():
    names = {path.stem for path in (ROOT / "service").glob("*.py")} - {"__init__"}

    assert len(names) <= MAX_TOP_MODULES, sorted(names)


def find_files(packages=PACKAGES):
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_no_file_is_long():
    files = find_files((*PACKAGES, "tests"))
    lines = {name: len(text.splitlines()) for name, text in files}

    long = {name: n for name, n in lines.items() if n > LONG_FILES.get(name, MAX_LINES)}
    assert not long
    assert {name for name in LONG_FILES if lines.get(name, 0) <= MAX_LINES} == set()


def count_lines(function):
    """Count the lines of a function without its docstring."""
    first = function.body[0]
    has_text = ast.get_docstring(function) is not None
    text = first.end_lineno - first.lineno + 1 if has_text else 0
    return function.end_lineno - function.lineno + 1 - text


def test_no_function_is_long():
    lines = {
        f"{name}::{node.name}": count_lines(node)
        for name, text in find_files()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FUNCTIONS)
    }

    assert len(lines) > 1000
    assert {name for name, n in lines.items() if n > MAX_FUNCTION_LINES} == set()


def raises_itself(function):
    """Return whether a function has a raise of its own, with what it raises."""
    nodes = list(function.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if not isinstance(node, FUNCTIONS | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return False


LARGE = ("service", "models", "training")


@pytest.mark.parametrize("package", [*LARGE, "benchmarks", "clients", "docs"])
def test_public_functions_state_what_they_raise(package):
    silent, checked = [], 0
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, FUNCTIONS) or node.name.startswith("_"):
                continue
            text = ast.get_docstring(node)  # functions inside of others have none
            if text is not None and raises_itself(node):
                checked += 1
                if "Raises:" not in text:
                    silent.append(f"{path.relative_to(ROOT)}::{node.name}")

    assert checked > (20 if package in LARGE else 0)
    assert not silent


def test_service_starts_without_tensorflow():
    code = "import sys, service.app; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("package", ["service", "models", "training"])
def test_no_two_classes_have_one_name(package):
    places = defaultdict(list)
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))

    assert not {name: paths for name, paths in places.items() if len(paths) > 1}
