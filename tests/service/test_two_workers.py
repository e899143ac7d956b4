"""Reports of two real workers together; without models they start fast."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.servers import COMMAND, ROOT, Server
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.server

MANY = 40
# One worker may be quicker than the other, but not for so long.
MAX_REQUESTS = 2000


class Bare(Server):
    """A service without models: it listens, but is not ready."""

    def start(self):
        self.log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *COMMAND],
            cwd=ROOT,
            env=self.environ,
            stderr=self.log,
        )
        wait_until(self.listens)

    def listens(self):
        try:
            return len(self.worker_pids()) == 2 and self.get("/v2/health/live").ok
        except requests.ConnectionError:
            return False

    def get(self, path):
        return requests.get(self.url + path, timeout=TIMEOUT_SECONDS)

    def counted(self):
        """Return how many calls of /v1/models the workers have counted."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == "carryover_requests_total"
            and sample.labels["route"] == "/v1/models"
        )

    def settle(self):
        """Have each worker publish what it has counted, as a scrape does."""
        seen = set()

        def scrape():
            answer = self.get("/metrics")
            seen.add(answer.headers["X-Request-Id"][:24])  # of a process
            return len(seen) == 2

        wait_until(scrape)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    home = tmp_path_factory.mktemp("bare")
    (home / "models").mkdir()
    with Bare(home / "models", home) as running:
        yield running


def counting_workers(service):
    """The workers that have counted something, by their files."""
    files = (service.home / "state" / "runs").glob("*/metrics/counter_[0-9]*.db")
    return {path.stem for path in files}


def test_metrics_are_those_of_both_workers(service):
    sent = 0
    while sent < MANY or (sent < MAX_REQUESTS and len(counting_workers(service)) < 2):
        assert service.get("/v1/models").ok
        sent += 1

    # A worker counts a moment after it has answered.
    wait_until(lambda: service.counted() >= sent)

    assert service.counted() == sent
    assert len(counting_workers(service)) == 2


# Before workers end: nobody can repair what an ended one has counted.
@pytest.mark.parametrize(
    "harm",
    [
        lambda file: os.truncate(file, 0),
        lambda file: os.truncate(file, 100),
        lambda file: file.write_bytes(bytes(4096)),
        lambda file: file.write_bytes(b"\x40\x00\x00\x00" + bytes(100)),
        lambda file: file.unlink(),
        lambda file: shutil.rmtree(file.parent, ignore_errors=True),
    ],
    ids=["emptied", "cut", "zeros", "no keys", "removed", "folder removed"],
)
def test_harm_to_the_files_of_counts_ends_no_worker_and_is_repaired(service, harm):
    assert service.get("/v1/models").ok
    wait_until(lambda: service.counted() > 0)
    counted, pids = service.counted(), set(service.worker_pids())

    for file in [*(service.home / "state" / "runs").glob("*/metrics/*_[0-9]*.db")]:
        harm(file)
    asked = 0
    while asked < MAX_REQUESTS and service.counted() < counted + asked:
        assert service.get("/v1/models").ok
        asked += 1
        wait_until(lambda: service.counted() > 0)

    assert set(service.worker_pids()) == pids
    # What was answered before may have been counted after the first look.
    assert service.counted() >= counted + asked


def test_ended_workers_leave_their_counts_and_no_files(service):
    assert service.get("/v1/models").ok
    wait_until(lambda: service.counted() > 0)
    service.settle()
    counted, before = service.counted(), set(service.worker_pids())

    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not before & set(service.worker_pids()) and service.listens())

    assert service.counted() == counted
    ended = {f"counter_{pid}" for pid in before}
    wait_until(lambda: not ended & counting_workers(service))
    assert service.counted() == counted


def test_second_service_of_one_state_counts_apart(service, tmp_path):
    assert service.get("/v1/models").ok
    service.settle()  # what earlier calls still have to publish
    counted = service.counted()
    assert counted > 0

    with Bare(service.home / "models", tmp_path, state=service.home / "state") as other:
        assert other.counted() == 0
        assert other.get("/v1/models").ok
        wait_until(lambda: other.counted() == 1)
        assert service.counted() == counted
    assert service.counted() == counted
    assert "Traceback" not in (tmp_path / "log").read_text()  # of its stop
