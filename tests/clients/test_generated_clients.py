"""Clients generated from `/openapi.json`: nothing is dropped, and a session works."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.clients.environments import node_clients, python_clients, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

DRIVERS = Path(__file__).with_name("drivers")
MODEL = "nature"
# What the generator does not know it can read as bytes, if it is configured so.
CONFIG = """
post_hooks: []
content_type_overrides:
  application/x-ndjson: application/octet-stream
"""
COMPILER = ("--strict", "--skipLibCheck", "--target", "es2022", "--module", "node16")


@pytest.fixture(scope="module")
def service(servers, bundled):
    return servers(bundled, "litert")


@pytest.fixture(scope="module")
def document(service, tmp_path_factory):
    """The service's document, in a file."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_text(requests.get(f"{service.url}/openapi.json", timeout=60).text)
    return file


@pytest.fixture(scope="module")
def expected(service):
    """Return what the native calls answer."""
    answer = service.predict(MODEL, ["bear", "tree"], **{"return": "all"}).json()
    (bare,) = answer["predictions"]
    horizon = {"instances": [["bear"]], "horizon": 2}
    return {
        "steps": [1, 3, 4, 5],
        "refused": [409, "step_conflict", 4],
        "bare": bare,
        "layers": 1,
        "deleted": True,
        "forecast": service.post(MODEL, "forecast", horizon).json().get("code"),
    }


def assert_result(result, expected):
    inferred = result.pop("infer")
    np.testing.assert_allclose(inferred, expected["bare"][-1], atol=1e-6)
    assert {name: result[name] for name in expected} == expected


@pytest.fixture(scope="module")
def python_client(document):
    """The folder of the Python client; a warning of its generator is a failure."""
    folder = document.parent
    (folder / "config.yml").write_text(CONFIG)
    run(
        *(python_clients() / "bin" / "openapi-python-client", "generate"),
        *("--path", document, "--config", folder / "config.yml", "--meta", "none"),
        *("--output-path", folder / "generated", "--fail-on-warning"),
    )
    return folder


def test_python_client_has_every_call(python_client, document):
    described = json.loads(document.read_text())
    names = {
        operation["operationId"]
        for methods in described["paths"].values()
        for operation in methods.values()
    }

    assert names <= {file.stem for file in python_client.glob("generated/api/*/*.py")}


def test_python_client_drives_a_session(python_client, service, expected):
    python = python_clients() / "bin" / "python"
    driver = DRIVERS / "with_generated_python.py"
    path = {**os.environ, "PYTHONPATH": str(python_client)}

    result = json.loads(run(python, driver, service.url, MODEL, env=path))

    assert result["failed"] == "step_conflict"
    assert result["state"] == 4
    assert_result(result, expected)


@pytest.fixture(scope="module")
def typescript_client(document):
    """The folder of the TypeScript client and its driver, compiled."""
    modules = node_clients() / "node_modules"
    folder = document.parent / "typescript"
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    shutil.copy(DRIVERS / "with_generated_typescript.ts", folder / "driver.ts")
    run(modules / ".bin" / "openapi-typescript", document, "-o", folder / "schema.d.ts")
    run(
        *(modules / ".bin" / "tsc", folder / "driver.ts", *COMPILER),
        *("--typeRoots", folder / "none"),
    )
    return folder


def test_typescript_client_leaves_optional_what_is(typescript_client):
    schema = (typescript_client / "schema.d.ts").read_text()
    (body,) = re.findall(r"\n        PredictBody: \{\n(.*?)\n        \};", schema, re.S)
    fields = re.findall(r"^ {12}(\w+)(\??):", body, re.M)

    assert {name for name, mark in fields if not mark} == set()
    assert {"instances", "return", "memory_format"} <= dict(fields).keys()


def test_typescript_client_drives_a_session(typescript_client, service, expected):
    result = json.loads(
        run("node", typescript_client / "driver.js", service.url, MODEL)
    )

    assert result["state"] == 5
    assert_result(result, expected)
