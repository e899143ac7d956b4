"""Requests that end early or are no HTTP at all: nothing of them is applied."""

import json
import socket

import pytest
import requests

from tests.problems import assert_problem_body

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

PATH = "/v1/models/label:predict"


def send_raw(server, head, body):
    """Send bytes, close the sending side, return status and body."""
    request = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request.encode() + body)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while block := client.recv(65536):
            answer += block
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


def one_event(session):
    row = {"sequence": ["open"], "session": session}
    return json.dumps({"instances": [row]}).encode()


def assert_never_begun(server, session):
    path = f"{server.url}/v1/models/label/sessions/{session}"
    assert requests.get(path, timeout=60).status_code == 404


def test_body_that_ends_early_is_not_applied(server):
    body = one_event("cut")

    status, answer = send_raw(server, f"Content-Length: {len(body) + 10}", body)

    assert status == 400
    assert_problem_body(answer, 400, "invalid_request")
    assert f"at position {len(body)}" in answer["detail"]
    assert_never_begun(server, "cut")


def test_chunked_body_over_the_limit_is_not_applied(server):
    parts = [one_event("chunked"), b" " * (5 * 2**20)]

    response = requests.post(server.url + PATH, data=iter(parts), timeout=60)

    assert response.status_code == 413
    assert_problem_body(response.json(), 413, "body_too_large")
    assert_never_begun(server, "chunked")


def test_broken_chunk_is_refused_without_a_trace(server):
    status, answer = send_raw(server, "Transfer-Encoding: chunked", b"zz\r\nx\r\n")

    assert status == 400
    assert_problem_body(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "head",
    [
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 3\r\nContent-Length: 60",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
    ],
    ids=["another coding", "two lengths", "both"],
)
def test_unclear_end_is_refused_and_nothing_behind_it_is_answered(server, head):
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    request = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + hidden

    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request)
        answer = b""
        while block := client.recv(65536):
            answer += block

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
