"""Description of a run's machine: only ratios compare between two of them."""

from __future__ import annotations

import os
import platform
import subprocess
import timeit
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.gunicorn_config import worker_class

PACKAGES = (
    "flask",
    "gunicorn",
    "gevent",
    "ai-edge-litert",
    "lmdb",
    "orjson",
    "msgspec",
)


def describe_machine() -> dict[str, str]:
    """Describe processor, memory, system and packages, and how busy it was before."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{os.cpu_count()} cores, {processor()}",
        "memory": f"{memory_gigabytes():.0f} GB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_version()}, {call_nanoseconds():.0f} ns a call",
        "packages": ", ".join(filter(None, map(installed, PACKAGES))),
        "load generator": wrk_version(),
        "gunicorn's workers": str(worker_class),
        "load before the run": f"{os.getloadavg()[0]:.2f} of {os.cpu_count()} cores",
    }


def call_nanoseconds() -> float:
    """Measure a call of a Python function: builds of one version differ by far."""
    times = timeit.repeat("add(k, by=2)", "k = 1\ndef add(k, by): return k + by")
    return 1e3 * min(times)  # of a million calls


def processor() -> str:
    """Read the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_gigabytes() -> float:
    """Read how much memory there is."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def installed(package: str) -> str:
    """Name a package with its version; empty where it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def wrk_version() -> str:
    """Read wrk's version; it prints it before its usage, and fails."""
    printed = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join(printed.stdout.split()[:2])
