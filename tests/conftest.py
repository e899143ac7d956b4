"""Fixtures every test may use; nothing here imports TensorFlow by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.exported import export_all
from tests.scheduling import Recorder, name_function, read_record, sort_by_length
from tests.servers import ROOT, Server
from tests.start import sitecustomize
from training.publish import list_versions

BUNDLED = ("nature", "taxi", "visits")
# Whatever answers over HTTP answers the same whoever runs the networks.
RUNTIMES = ("litert", "tensorflow")

# The same examples on each machine, however slow; `make fuzz-...` draws others.
settings.register_profile(
    "suite",
    max_examples=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

# Processes that the tests start run it too, by this.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(sitecustomize.__file__).parent), os.environ.get("PYTHONPATH", "")]
).rstrip(os.pathsep)

# A shell starts what runs in the background with SIGINT ignored, and so would be
# what a test starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


SECONDS, SLOW = read_record()


def pytest_addoption(parser):
    """Add the option that writes `tests/seconds.json`."""
    parser.addoption(
        "--record-seconds",
        action="store_true",
        help="write which tests and files take long into tests/seconds.json",
    )


def pytest_configure(config):
    """Measure the tests where that is asked for."""
    if config.getoption("--record-seconds"):
        config.pluginmanager.register(Recorder())


def pytest_itemcollected(item):
    """Mark tests that took long when they were recorded."""
    name = name_function(item.nodeid)
    if name in SLOW or name.partition("::")[0] in SLOW:
        item.add_marker(pytest.mark.slow)


# After pytest's own order, by the parameters of fixtures for a whole run.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Begin with the longest files where several processes share the tests."""
    if hasattr(config, "workerinput"):
        sort_by_length(items, SECONDS)


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch):
    """Hide settings of the shell the tests are run from."""
    for key in list(os.environ):
        if key.startswith("CARRYOVER_"):
            monkeypatch.delenv(key)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, worker_id):
    """Small random models on disk, and their live networks by name."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":  # those of one run export each model once
        folder = folder.parent
    return folder / "models", export_all(folder / "models")


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Start a service of a folder of models on a runtime, once for all files."""
    running = {}

    def find(models, runtime):
        key = models, runtime
        if key not in running:
            home = tmp_path_factory.mktemp("server")
            running[key] = Server(models, home, runtime=runtime)
        if not running[key].is_running():
            running[key].start()
        return running[key]

    yield find
    for server in running.values():
        server.stop()


@pytest.fixture(scope="session", params=RUNTIMES)
def server(request, servers, exported):
    """A service with two workers and the small random models, on either runtime."""
    return servers(exported[0], request.param)


@pytest.fixture(scope="session")
def bundled():
    """The folder of the trained bundled models, as `make models` leaves it."""
    # The command itself takes half a second to see that it has nothing to do.
    for name in (n for n in BUNDLED if not list_versions(ROOT / "artifacts" / n)):
        config = Path("training", "configs", f"{name}.toml")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "training",
                "fit",
                "--config",
                config,
                "--if-missing",  # another process of the run may have been quicker
                "--force",
            ],
            cwd=ROOT,
            check=True,
        )
    return ROOT / "artifacts"


@pytest.fixture(scope="session", params=RUNTIMES)
def bundled_server(request, servers, bundled):
    """A service with two workers and the trained bundled models, on either runtime."""
    return servers(bundled, request.param)
