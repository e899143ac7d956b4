"""The rooms of the code: import contracts, and how many modules stand at the top."""

import subprocess
import sys

from tests.servers import ROOT

MAX_TOP_MODULES = 8


def test_import_contracts_are_kept():
    command = [sys.executable.replace("python", "lint-imports"), "--no-cache"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_few_modules_stand_at_the_top_of_the_service():
    names = {path.stem for path in (ROOT / "service").glob("*.py")} - {"__init__"}

    assert len(names) <= MAX_TOP_MODULES, sorted(names)


def test_service_starts_without_tensorflow():
    code = "import sys, service.app; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
