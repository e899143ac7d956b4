"""The rooms of the code: imports, modules at the top, sizes, one name for one class."""

import ast
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.servers import ROOT

MAX_TOP_MODULES = 8
MAX_LINES = 350
# Files that are longer, and how long they may be.
LONG_FILES = {
    "service/errors.py": 410,  # a class for each condition
}


def test_import_contracts_are_kept():
    command = [sys.executable.replace("python", "lint-imports"), "--no-cache"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_few_modules_stand_at_the_top_of_the_service():
    names = {path.stem for path in (ROOT / "service").glob("*.py")} - {"__init__"}

    assert len(names) <= MAX_TOP_MODULES, sorted(names)


def test_no_file_of_the_service_is_long():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / "service").rglob("*.py")
    }

    long = {name: n for name, n in lines.items() if n > LONG_FILES.get(name, MAX_LINES)}
    assert not long
    assert {name for name in LONG_FILES if lines.get(name, 0) <= MAX_LINES} == set()


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
