"""Stops of gunicorn's worker, with connections that are open."""

import contextlib
import signal
import socket
import threading

import pytest
import requests

from tests.service import workers
from tests.service.workers import STOP_SECONDS, WITHOUT_END
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.server

start = pytest.fixture(workers.start)


def test_a_stop_does_not_wait_for_connections_that_are_only_kept_open(start):
    service = start(STOP_TIMEOUT_SECONDS=WITHOUT_END)
    with requests.Session() as client:
        assert client.get(service.url, timeout=TIMEOUT_SECONDS).ok

        assert service.stop() < STOP_SECONDS


def test_a_stop_does_not_wait_for_requests_that_are_not_sent_to_their_end(start):
    service = start(STOP_TIMEOUT_SECONDS=WITHOUT_END)
    with service.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        assert service.answers()  # so the other one has been taken up

        assert service.stop() < STOP_SECONDS


def test_a_request_under_way_is_answered_before_the_worker_stops(start):
    service, answers = start(), []

    def send():
        answers.append(requests.get(f"{service.url}/hold", timeout=TIMEOUT_SECONDS))

    sender = threading.Thread(target=send)
    sender.start()
    wait_until((service.home / "waiting").exists)

    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not listens(service))
    (service.home / "release").touch()
    sender.join(TIMEOUT_SECONDS)

    assert [answer.status_code for answer in answers] == [200]
    service.process.wait(TIMEOUT_SECONDS)
    assert service.process.returncode == 0


def listens(service):
    try:
        service.connect().close()
    except ConnectionError:
        return False
    return True


def test_what_has_arrived_before_a_stop_is_answered(start):
    service, answered = start(), []
    request = b"GET /note HTTP/1.1\r\nHost: x\r\n\r\n"

    def ask_until_it_ends():
        with service.connect() as client, contextlib.suppress(ConnectionError):
            while client.send(request) and client.recv(1000).startswith(
                b"HTTP/1.1 200"
            ):
                answered.append(1)

    clients = [threading.Thread(target=ask_until_it_ends) for _ in range(20)]
    for client in clients:
        client.start()
    wait_until(lambda: len(answered) > 500)

    assert service.stop() < STOP_SECONDS

    for client in clients:
        client.join(TIMEOUT_SECONDS)
    assert len((service.home / "notes").read_text()) == len(answered)


@pytest.mark.parametrize(
    "request_", ["GET /large HTTP/1.1", "POST / HTTP/1.1\r\nContent-Length: 9"]
)
def test_a_stop_waits_for_unread_answers_and_unsent_bodies_for_a_while(start, request_):
    service = start(STOP_TIMEOUT_SECONDS="1")
    with service.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(f"{request_}\r\nHost: x\r\n\r\nabc".encode())
        assert service.answers()  # so the other one has been taken up

        assert service.stop() < STOP_SECONDS
    assert service.process.returncode == 0
