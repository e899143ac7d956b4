"""Visits the container while it is up: predicts, restarts it, predicts again.

verify_container.sh runs this with BASE_URL and CONTAINER set, inside the container's
own network, where pytest is not. What it sees goes to a file, as JSON:
`python -m tests.container.visit FILE`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import requests

# The first picture shows the topic, the second is the one memory decides.
EVENTS = ["bear", "blurry"]
VOLUMES = "carryover-test-"
READY_SECONDS = 60
REQUEST_SECONDS = 30
PODMAN_SECONDS = 60
# Longer than gunicorn's graceful_timeout.
STOP_SECONDS = 25
WRITE = "import pathlib; pathlib.Path('/app/written').touch()"
OURS = ("models", "training", "tests")
LARGE = ("tensorflow", "keras")
FIND = "import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
STATE = "import os; print(sorted(os.listdir('/data')))"


def main(answers: Path) -> None:
    remove_old_volumes()
    whole, alone = predict(EVENTS, EVENTS[-1:])
    before = predict(
        {"sequence": EVENTS[:1], "session": "kept"},
        {"sequence": EVENTS[:1], "memory": None},
    )
    podman("restart", "--time", str(STOP_SECONDS), os.environ["CONTAINER"])
    wait_until_ready()
    session, sealed = predict(
        {"sequence": EVENTS[1:], "session": "kept"},
        {"sequence": EVENTS[1:], "memory": before[1]["memory"]},
    )
    seen = {
        "whole": whole,
        "alone": alone,
        "before": before,
        "session": session,
        "sealed": sealed,
        "write": run_inside(WRITE),
        "packages": run_inside(FIND.format(names=OURS)),
        "large": run_inside(FIND.format(names=LARGE)),
        "data": run_inside(STATE),
    }
    answers.write_text(json.dumps(seen))


def predict(*rows):
    url = f"{os.environ['BASE_URL']}/v1/models/nature:predict"
    response = http().post(url, json={"instances": rows}, timeout=REQUEST_SECONDS)
    if not response.ok:
        raise RuntimeError(f"{response.status_code} from {url}: {response.text}")
    return response.json()["predictions"]


def wait_until_ready():
    url = f"{os.environ['BASE_URL']}/v2/health/ready"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if http().get(url, timeout=REQUEST_SECONDS).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)  # nothing listens yet, so nothing can be waited on
    raise RuntimeError(f"not ready {READY_SECONDS} s after the restart")


def http():
    session = requests.Session()
    # No proxy of the shell's: this network has the container in it and nothing else.
    session.trust_env = False
    return session


def run_inside(code):
    """Run Python in the container; return what it printed, errors too."""
    return podman("exec", os.environ["CONTAINER"], "python", "-c", code, check=False)


def remove_old_volumes():
    """Remove what earlier visits left; a volume in use stays."""
    names = podman("volume", "ls", "--quiet", "--filter", f"name={VOLUMES}")
    for name in names.split():
        podman("volume", "rm", name, check=False)


def podman(*arguments, check=True):
    done = subprocess.run(
        ["podman", "--log-level", "fatal", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PODMAN_SECONDS,
    )
    if check and done.returncode:
        raise RuntimeError(f"podman {' '.join(arguments)} failed: {done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
