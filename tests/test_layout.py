"""The rules of the house: which package may import which."""

import ast
import subprocess
import sys

import pytest

from tests.servers import ROOT

TENSORFLOW_ONLY = ROOT / "service" / "tensorflow_runtime.py"


def imported(path):
    """Names of the packages a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).split(".")[0]


def sources(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in files]


@pytest.mark.parametrize("path", sources("service"))
def test_service_imports_neither_models_nor_training(path):
    assert not {"models", "training", "keras"} & set(imported(path))


@pytest.mark.parametrize("path", sources("service"))
def test_one_file_of_the_service_imports_tensorflow(path):
    assert ("tensorflow" in imported(path)) == (path == TENSORFLOW_ONLY)


@pytest.mark.parametrize("path", sources("models"))
def test_models_import_neither_training_nor_service(path):
    assert not {"training", "service"} & set(imported(path))


@pytest.mark.parametrize("path", sources("models"))
def test_only_export_imports_tensorflow_in_models(path):
    is_export = "export" in path.relative_to(ROOT / "models").parts
    assert is_export or "tensorflow" not in set(imported(path))


@pytest.mark.parametrize("path", sources("training"))
def test_training_does_not_import_the_service(path):
    assert "service" not in set(imported(path))


@pytest.mark.parametrize("package", ["engine", "batch", "rows", "catalog"])
def test_engine_knows_no_http(package):
    assert "flask" not in set(imported(ROOT / "service" / f"{package}.py"))


@pytest.mark.parametrize("path", sources("service/memory"))
def test_stores_know_no_http(path):
    assert not {"flask", "orjson", "msgspec", "numpy"} & set(imported(path))


def test_service_starts_without_tensorflow():
    code = "import sys, service.app; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
