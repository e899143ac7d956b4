"""Environments of clients that are not ours, made once under `.bench/envs`.

A client that cannot be installed skips its tests, with the reason.
"""

from __future__ import annotations

import ctypes.util
import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.model import HOME
from benchmarks.speed.environments import (
    Unavailable,
    run_or_give_up,
    site_packages,
)

FOLDER = Path(__file__).parent
REQUIREMENTS = FOLDER / "requirements.txt"
PACKAGES = FOLDER / "package.json"
# perf_analyzer is linked with it, and no wheel has it.
BASE64_LIBRARY = "libb64-0d"
SECONDS = 60


def make(name: str, recipe: str, fill: Callable[[Path], None]) -> Path:
    """Fill a folder unless the same recipe did so before; skip where it cannot be."""
    folder = HOME / "envs" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder / "recipe.txt"
    # Two processes run tests at a time.
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.is_file() and done.read_text() == recipe):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                fill(folder)
            except Unavailable as error:
                pytest.skip(str(error))
            done.write_text(recipe)
    return folder


@functools.cache
def python_clients() -> Path:
    """Install the Python clients; return the environment."""

    def fill(folder: Path) -> None:
        run_or_give_up("python clients", [sys.executable, "-m", "venv", folder])
        options = ["--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [folder / "bin" / "pip", "install", *options, "--no-compile"]
        run_or_give_up("python clients", [*command, "--requirement", REQUIREMENTS])

    return make("python-clients", REQUIREMENTS.read_text(), fill)


@functools.cache
def node_clients() -> Path:
    """Install the generator for TypeScript; return the folder of its modules."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")

    def fill(folder: Path) -> None:
        shutil.copy(PACKAGES, folder)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
        run_or_give_up("openapi-typescript", [*command, "--prefix", str(folder)])

    return make("node-clients", PACKAGES.read_text(), fill)


@functools.cache
def perf_analyzer() -> tuple[Path, dict[str, str]]:
    """Install Triton's load generator; return it, and the environment it runs in."""
    environment = python_clients()
    runtime = site_packages(environment) / "nvidia" / "cuda_runtime" / "lib"
    libraries = [str(runtime)]
    if not ctypes.util.find_library("b64"):
        unpacked = make(BASE64_LIBRARY, BASE64_LIBRARY, unpack_base64_library)
        libraries += map(str, (unpacked / "usr" / "lib").iterdir())
    program = environment / "bin" / "perf_analyzer"
    path = {"LD_LIBRARY_PATH": ":".join(libraries)}
    shown = subprocess.run(
        [program, "--version"], env={**os.environ, **path}, capture_output=True
    )
    if shown.returncode:
        pytest.skip(f"perf_analyzer does not start here: {shown.stderr[-200:]!r}")
    return program, path


def unpack_base64_library(folder: Path) -> None:
    """Fetch Debian's package with lists of its own, as any user may, and unpack it."""
    if not shutil.which("apt-get"):
        raise Unavailable(f"{BASE64_LIBRARY} is not installed, and there is no apt-get")
    own = []
    for name, value in {"State::Lists": "lists", "Cache": "cache"}.items():
        (folder / value / "partial").mkdir(parents=True)
        own += ["-o", f"Dir::{name}={folder / value}"]
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    run_or_give_up(BASE64_LIBRARY, ["apt-get", "-qq", *own, "update"])
    script = f'cd "$0" && apt-get -qq "$@" download {BASE64_LIBRARY}'
    run_or_give_up(BASE64_LIBRARY, ["sh", "-c", script, folder, *own])
    (package,) = folder.glob("*.deb")
    run_or_give_up(BASE64_LIBRARY, ["dpkg", "-x", package, folder])
    shutil.rmtree(folder / "lists")
    shutil.rmtree(folder / "cache")


def run(*command: object, **options: object) -> str:
    """Run a client and return what it printed; it must not fail."""
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        **options,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
