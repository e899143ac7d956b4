"""Environments of the peers: one each under `.bench/envs`, made when first asked for.

A peer that cannot be installed is reported with its reason, and the rest continues.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from benchmarks.model import HOME

PEERS = Path(__file__).with_name("peers")
INSTALL_SECONDS = 600.0


class Unavailable(Exception):
    """A peer cannot be had here; the message says why."""


def make_environment(name: str, peers: Path = PEERS) -> Path:
    """Install a peer's `requirements.txt` unless it is installed as it stands.

    Args:
        name: Of the peer, and of its folder.
        peers: Where that folder is.

    Returns:
        The environment's folder.

    Raises:
        Unavailable: pip failed; the message ends as pip's does.
    """
    folder = HOME / "envs" / name
    wanted = (peers / name / "requirements.txt").read_text()
    installed = folder / "installed.txt"
    if installed.is_file() and installed.read_text() == wanted:
        return folder
    print(f"installing {name} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    run_or_give_up(name, [sys.executable, "-m", "venv", folder])
    pip = str(folder / "bin" / "pip")
    wants = ["--requirement", str(peers / name / "requirements.txt")]
    quietly = ["--quiet", "--disable-pip-version-check"]
    run_or_give_up(name, [pip, "install", *quietly, *wants])
    installed.write_text(wanted)
    return folder


def run_or_give_up(name: str, command: Sequence[str | Path]) -> None:
    """Run one step of an installation.

    Raises:
        Unavailable: It failed or took too long.
    """
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"{name} was not installed after {INSTALL_SECONDS:.0f} s"
        ) from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["it failed without a word"]
        reason = next((x for x in lines if x.startswith("ERROR")), lines[-1])
        raise Unavailable(f"{name} cannot be installed: {reason[:300]}") from None


def site_packages(environment: Path) -> Path:
    """Return where an environment's packages are."""
    variables = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", "venv", vars=variables))
