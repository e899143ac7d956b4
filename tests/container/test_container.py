"""The image, really built and run: ready, unprivileged, and it remembers."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pytest

from tests.container.visit import VOLUMES
from tests.servers import ROOT

pytestmark = [pytest.mark.container, pytest.mark.slow]

# Builds the image and runs it where there is no Docker; `-h` says how.
SCRIPT = Path(
    os.environ.get("VERIFY_CONTAINER")
    or ROOT.parent / "shared" / "tools" / "verify_container.sh"
)
MODELS = ROOT / "artifacts"
# The first time it makes a base image, on a slow disk too, or installs TensorFlow.
RUN_SECONDS = 1200
END_SECONDS = 60
# As a careful operator runs it: nothing to write to but /data and /tmp.
LOCKED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all")
USER = 10001
# Float32 rounding; the README promises no more than this between any two splits.
TOLERANCE = 1e-5
# What the Dockerfile adds to its base is 178 MB: nothing large slips in unseen.
MAX_ADDED_MEGABYTES = 200
STOP_SECONDS = 20


class Visit(NamedTuple):
    """Output of the script, and the findings of `tests.container.visit`."""

    report: str
    seen: dict


@pytest.fixture(scope="module", autouse=True)
def needs():
    """Skip where an image cannot be built, or there is nothing to serve."""
    if not SCRIPT.is_file():
        pytest.skip(f"no {SCRIPT.name} at $VERIFY_CONTAINER or in ../shared/tools")
    if os.geteuid() != 0:
        pytest.skip(f"{SCRIPT.name} must be run by root")
    if not (MODELS / "nature").is_dir():
        pytest.skip("artifacts/ holds no model nature; run make models")


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    """A visit to the image as a plain build makes it."""
    return visit(tmp_path_factory.mktemp("mounted"), f"-v={MODELS}:/models:ro")


@pytest.fixture(scope="module")
def baked(tmp_path_factory, mounted):
    """A visit to the image with the models in it; shares the layers of the other."""
    return visit(tmp_path_factory.mktemp("baked"), target="baked")


def visit(folder, *run_options, target=None):
    """Build, run and visit the image, with a new volume for its data."""
    command = [
        SCRIPT,
        "--layers",
        "--health",
        "/v2/health/ready",
        "--get",
        "/v1/models",
    ]
    if target:
        command += ["--target", target]
    for option in (*LOCKED, f"-v={VOLUMES}{uuid4()}:/data", *run_options):
        command += ["--run-arg", option]
    looking = (sys.executable, "-m", "tests.container.visit", folder / "seen")
    command += ["--while-up", shlex.join(map(str, looking)), ROOT]
    status, report = run(command, folder / "report")
    if status != 0:
        pytest.fail(f"{SCRIPT.name} ended with {status}:\n{report}", pytrace=False)
    return Visit(report, json.loads((folder / "seen").read_text()))


def run(command, log):
    """Run a command to its end or to the time limit; return its status and output."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            # The group, so that the build or the container ends with the script.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(END_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return process.returncode, log.read_text()


def test_image_becomes_ready_and_its_health_check_agrees(mounted):
    assert "PASS health GET /v2/health/ready" in mounted.report
    assert "PASS image HEALTHCHECK command: healthy" in mounted.report


def test_every_process_runs_as_a_user_without_privileges(mounted):
    processes = re.findall(r"uid=(\d+) gid=(\d+) cap_eff=(\w+)", mounted.report)

    assert len(processes) >= 2  # gunicorn and a worker
    assert set(processes) == {(str(USER), str(USER), "0" * 16)}


def test_root_file_system_cannot_be_written(mounted):
    assert "Read-only file system" in mounted.seen["write"]


def test_image_holds_no_training_code_and_no_tests(mounted):
    assert mounted.seen["packages"].strip() == "[]"


def test_image_holds_no_tensorflow_and_is_small(mounted):
    added = re.search(r"\+ ([\d.]+) MB of the Dockerfile", mounted.report).group(1)

    assert mounted.seen["large"].strip() == "[]"
    assert float(added) < MAX_ADDED_MEGABYTES


def test_all_that_is_written_to_keep_is_in_data(mounted):
    kept = "['memory', 'memory.mark', 'state', 'token.key', 'token.key.mark']"
    assert mounted.seen["data"].strip() == kept


def test_session_survives_a_restart(mounted):
    before, after = mounted.seen["before"][0], mounted.seen["session"]

    assert (before["step"], after["step"]) == (1, 2)
    assert_remembers(after, mounted.seen)


def test_sealed_memory_survives_a_restart(mounted):
    before, after = mounted.seen["before"][1], mounted.seen["sealed"]

    assert (before["step"], after["step"]) == (1, 2)
    assert_remembers(after, mounted.seen)


def assert_remembers(after, seen):
    """The answer is that of the whole sequence in one request, not of its end alone."""
    got = after["probabilities"]
    np.testing.assert_allclose(got, seen["whole"], atol=TOLERANCE)
    assert not np.allclose(got, seen["alone"], atol=TOLERANCE)


def test_sigterm_stops_it_cleanly_and_in_time(mounted):
    stop = re.search(
        r"PASS stop \(SIGTERM\): exit code 0 after ([\d.]+)", mounted.report
    )

    assert float(stop.group(1)) < STOP_SECONDS


def test_baked_image_serves_without_a_mount(baked):
    assert baked.seen["session"]["step"] == 2
    assert_remembers(baked.seen["session"], baked.seen)


@pytest.mark.skipif(
    not os.environ.get("CONTAINER_TENSORFLOW"),
    reason="installs TensorFlow for minutes; make test-container does",
)
def test_tensorflow_image_serves_the_savedmodel_too(tmp_path, mounted):
    seen = visit(
        tmp_path,
        f"-v={MODELS}:/models:ro",
        "-e=CARRYOVER_RUNTIME=tensorflow",
        target="tensorflow",
    ).seen

    assert "tensorflow" in seen["large"]
    assert seen["packages"].strip() == "[]"
    assert_remembers(seen["session"], mounted.seen)
