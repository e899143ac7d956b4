"""Connections at the limit of a worker, and those beyond it."""

from contextlib import ExitStack

import pytest
import requests

from tests.problems import assert_problem_body
from tests.service.workers import WITHOUT_END, Service
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """One that takes three connections at a time, however long they are silent."""
    running = Service(
        tmp_path_factory.mktemp("limited"),
        GUNICORN_CMD_ARGS="--worker-connections 3",
        SILENT_SECONDS=WITHOUT_END,
    )
    yield running
    running.process.kill()
    running.process.wait()


HEALTH = "/v2/health/live"


@pytest.mark.parametrize("num_silent", [3, 10, 100])
def test_health_is_answered_at_the_limit_of_connections(limited, num_silent):
    service = limited
    with ExitStack() as opened:
        for _ in range(num_silent):
            opened.enter_context(service.connect())

        for _ in range(3):
            healthy = requests.get(service.url + HEALTH, timeout=TIMEOUT_SECONDS)
            assert (healthy.status_code, healthy.headers["Connection"]) == (
                200,
                "close",
            )
        refused = requests.post(service.url, data="x", timeout=TIMEOUT_SECONDS)

    assert_problem_body(refused.json(), 503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["Connection"] == "close"
    wait_until(
        lambda: (
            requests.post(service.url, data="x", timeout=TIMEOUT_SECONDS).text == "x"
        )
    )


def test_connections_below_the_limit_are_kept_whatever_comes_beyond_it(limited):
    service = limited
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with service.connect() as kept, ExitStack() as opened:
        kept.sendall(head)
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        for _ in range(50):
            opened.enter_context(service.connect()).sendall(head[:-2])
        assert requests.get(service.url + HEALTH, timeout=TIMEOUT_SECONDS).ok

        kept.sendall(head)
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
    assert "Traceback" not in (service.home / "log").read_text()
