"""The requirements: what is pinned is imported, has a reason, and is locked by hash."""

import re
import subprocess
import sys
from importlib.metadata import (
    PackageNotFoundError,
    packages_distributions,
    requires,
    version,
)
from itertools import pairwise

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.imports import imported
from tests.servers import ROOT

FILES = ("requirements-serving.txt", "requirements.txt", "requirements-dev.txt")
# What the service uses without importing it, or imports without pinning it.
# redis finds the first, gunicorn's gevent worker the second.
UNSEEN = {"hiredis", "packaging"}
BROUGHT_ALONG = {"werkzeug"}  # Flask's own
# Only for models without programs, and only for traces: other requirements have them.
OPTIONAL = {"tensorflow", "opentelemetry"}
# Each lock, and the files that it has to satisfy.
LOCKS = {
    "requirements-tracing.lock": (
        "requirements-serving.txt",
        "requirements-tracing.txt",
    ),
    "requirements.lock": (
        "requirements-serving.txt",
        "requirements-tracing.txt",
        "requirements.txt",
    ),
}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TYPES = {"_typeshed"}  # for the type checker alone


def pins(name):
    """Lines of a requirements file that pin a package."""
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


def pinned(name):
    return {re.split(r"[=\[]", line)[0].lower() for line in pins(name)}


def test_serving_requirements_are_what_the_service_imports():
    distributions = packages_distributions()
    names = {
        name
        for path in (ROOT / "service").rglob("*.py")
        for name in imported(path)
        if name not in sys.stdlib_module_names | {"service"} | OPTIONAL | TYPES
    }

    wanted = {distributions[name][0].lower().replace("_", "-") for name in names}
    assert pinned("requirements-serving.txt") == wanted - BROUGHT_ALONG | UNSEEN


def test_each_requirements_file_is_the_one_before_and_more():
    for less, more in pairwise(FILES):
        assert f"-r {less}\n" in (ROOT / more).read_text()
        assert not pinned(less) & pinned(more)


@pytest.mark.parametrize(
    "name",
    [
        *FILES,
        "requirements-tracing.txt",
        "requirements-tune.txt",
        "requirements-mlflow.txt",
        "requirements-boosting.txt",
        "requirements-release.txt",
    ],
)
def test_every_pin_is_exact_and_has_its_reason(name):
    for line in pins(name):
        assert re.fullmatch(r"[\w\[\]-]+==[\w.]+ +# .{10,}", line), line


def locked(name):
    """The packages of a lock and their hashes."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.M)
    entries = re.findall(r"^(\S.*?)((?: \\\n    --hash=\S+)+)\n", text, re.M)
    # No line is anything else: no option, no address of an index or a file.
    assert "".join(f"{line}{hashes}\n" for line, hashes in entries) == text
    found = {}
    for line, hashes in entries:
        requirement = Requirement(line)
        found[canonicalize_name(requirement.name)] = requirement, hashes
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_every_pin_and_a_hash_for_each_package(name):
    found = locked(name)

    for file in LOCKS[name]:
        for line in pins(file):
            pin = Requirement(line.partition("#")[0])
            requirement, _ = found[canonicalize_name(pin.name)]
            assert requirement.specifier == pin.specifier, "run make lock"
            assert requirement.marker is None
    for requirement, hashes in found.values():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", hashes)
        assert requirement.url is None


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_what_its_packages_need(name):
    """pip would refuse the first package that is needed and has no hash."""
    found, asked = locked(name), 0
    for requirement, _ in found.values():
        try:
            if version(requirement.name) not in requirement.specifier:
                continue  # this environment has another of what nothing pins
            needs = requires(requirement.name) or []
        except PackageNotFoundError:
            continue
        for need in map(Requirement, needs):
            if applies(need):
                asked += 1
                assert canonicalize_name(need.name) in found, need
    assert asked


def applies(need):
    """Return whether the image needs it, without extras; not this machine's Python."""
    image = {
        **default_environment(),
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_version": "3.11",
        "python_full_version": "3.11.14",
        "extra": "",
    }
    return need.marker is None or need.marker.evaluate(image)


def test_locks_agree():
    tracing, everything = (locked(name) for name in LOCKS)

    for name, (requirement, _) in tracing.items():
        assert everything[name][0].specifier == requirement.specifier


def test_image_installs_by_hash_alone():
    installs = re.findall(r"^RUN pip .*?(?:[^\\]\n)", DOCKERFILE, re.M | re.S)

    assert {re.search(r"-r (\S+)", line).group(1) for line in installs} == set(LOCKS)
    assert all("--require-hashes -r" in line for line in installs)
    ignored = (ROOT / ".dockerignore").read_text()
    assert all(f"!{name}\n" in ignored for name in LOCKS)


def test_image_is_built_on_a_digest_and_labelled():
    [base] = re.findall(r"^ARG BASE=(.+)$", DOCKERFILE, re.M)
    stages = set(re.findall(r"^FROM \S+ AS (\w[\w-]*)$", DOCKERFILE, re.M))
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) - stages

    assert re.fullmatch(r"python:3\.11-slim@sha256:[0-9a-f]{64}", base)
    assert bases == {"${BASE}"}
    labels = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", DOCKERFILE))
    assert {"title", "description", "licenses", "version", "revision"} <= labels
    assert re.search(r"REVISION=", (ROOT / "Makefile").read_text())


ANSWERS = {
    "echo 'No known vulnerabilities found'": (0, "no package has a known weakness"),
    "echo 'Found 1 known vulnerability in 1 package' >&2; exit 1": (
        2,
        "has packages with known weaknesses; take fixed versions",
    ),
    "echo 'ProxyError: cannot connect' >&2; exit 1": (
        2,
        "ProxyError: cannot connect\nerror: requirements-tracing.lock was not audited: "
        "the advisory database did not answer",
    ),
    "exit 1": (2, "was not audited"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_audit_without_advisories_is_no_clean_audit(tmp_path, answer):
    """`make audit` with each answer of pip-audit: its last lines, and its status."""
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    status, sentence = ANSWERS[answer]

    done = subprocess.run(
        ["make", "audit", f"TOOLS={tmp_path}", "-o", ".tools/installed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == status
    assert sentence in done.stdout + done.stderr
    assert ("no package" in done.stdout) == (status == 0)
