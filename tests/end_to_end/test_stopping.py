"""A stop under load: what was answered is stored, and nothing was applied by half."""

import signal
import threading
import time

import pytest
import requests

from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

NUM_CLIENTS = 12
# gunicorn kills a worker after twenty, and logs it; a busy machine stops slowly.
STOP_SECONDS = 60


def ask_until_it_ends(server, session, steps, refusals):
    """Send events of a session; note the last step answered, and what was refused."""
    body = {"instances": [{"sequence": ["open"], "session": session}]}
    path = f"{server.url}/v1/models/label:predict"
    with requests.Session() as client:
        while True:
            try:
                answer = client.post(path, json=body, timeout=30)
            except requests.RequestException:
                return
            if answer.ok:
                steps[session] = answer.json()["predictions"][0]["step"]
            else:
                refusals.append(answer.text)


@pytest.mark.parametrize(
    ("number", "ahead"),
    [(signal.SIGTERM, {0}), (signal.SIGINT, {0, 1})],
    ids=["term", "int"],
)
def test_stop_under_load_leaves_every_session_where_its_client_is(
    exported, tmp_path, number, ahead
):
    steps, refusals = {}, []
    with Server(exported[0], tmp_path) as server:
        clients = [
            threading.Thread(
                target=ask_until_it_ends, args=(server, f"s-{k}", steps, refusals)
            )
            for k in range(NUM_CLIENTS)
        ]
        for client in clients:
            client.start()
        wait_until(lambda: len(steps) == NUM_CLIENTS and min(steps.values()) >= 20)

        began = time.monotonic()
        server.process.send_signal(number)
        server.process.wait(STOP_SECONDS * 2)
        took = time.monotonic() - began
        for client in clients:
            client.join(STOP_SECONDS)

        assert took < STOP_SECONDS
        if number == signal.SIGTERM:  # else the store may be closed under a request
            assert refusals == []
        assert "SIGKILL" not in server.read_log()
        server.stop()
        server.start()
        stored = {session: read_step(server, session) for session in steps}
    assert {stored[s] - answered for s, answered in steps.items()} <= ahead


def read_step(server, session):
    path = f"{server.url}/v1/models/label/sessions/{session}"
    return requests.get(path, timeout=30).json()["step"]
