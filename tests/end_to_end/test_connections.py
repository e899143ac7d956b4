"""Connections of a real server: kept, shared out fairly, and read as HTTP has it."""

import json
import socket
import threading
import time

import pytest
import requests

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

PATH = "/v1/models/label:predict"
ROW = json.dumps({"instances": [["open"]]}).encode()


def request(body=ROW, *headers, path=PATH):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def read_answers(client, count):
    """Read a number of whole answers; return heads and bodies."""
    rest, answers = b"", []
    while len(answers) < count:
        head, found, body = rest.partition(b"\r\n\r\n")
        fields = dict(
            line.lower().split(": ", 1) for line in head.decode().splitlines()[1:]
        )
        if found and len(body) >= int(fields["content-length"]):
            size = int(fields["content-length"])
            answers.append((head.splitlines()[0], body[:size]))
            rest = body[size:]
            continue
        block = client.recv(65536)
        assert block, "the connection ended"
        rest += block
    return answers


def test_pipelined_requests_are_answered_in_their_order(server):
    bodies = [
        json.dumps({"instances": [{"sequence": ["open"], "session": f"pipe-{k}"}]})
        for k in range(20)
    ]
    with connect(server) as client:
        client.sendall(b"".join(request(body.encode()) for body in bodies))

        answers = read_answers(client, len(bodies))

    sessions = [json.loads(body)["predictions"][0]["session"] for _, body in answers]
    assert sessions == [f"pipe-{k}" for k in range(20)]


def test_request_that_comes_byte_by_byte_is_answered(server):
    with connect(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request():
            client.sendall(bytes([byte]))

        [(status, body)] = read_answers(client, 1)

    assert status == b"HTTP/1.1 200 OK"
    assert len(json.loads(body)["predictions"]) == 1


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
def test_body_is_asked_for_where_the_client_waits_for_that(server, expectation):
    head = request(ROW, f"Expect: {expectation}")[: -len(ROW)]
    with connect(server) as client:
        client.sendall(head)

        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(ROW)

        assert read_answers(client, 1)[0][0] == b"HTTP/1.1 200 OK"


def test_answer_longer_than_the_network_takes_at_once_arrives_whole(server):
    rows = [["open"] * 50] * 200
    body = json.dumps({"instances": rows, "return": "all"}).encode()
    with connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.sendall(request(body))
        time.sleep(0.2)  # until its buffers are full, so that it has to wait

        [(status, answer)] = read_answers(client, 1)

    assert status == b"HTTP/1.1 200 OK"
    assert len(json.loads(answer)["predictions"]) == 200


def test_greedy_client_does_not_keep_others_waiting(server):
    """One connection sends without end; another's requests are answered in between."""
    is_over = threading.Event()

    def ask_without_end():
        with connect(server) as client:
            while not is_over.is_set():
                client.sendall(request() * 50)
                read_answers(client, 50)

    greedy = [threading.Thread(target=ask_without_end) for _ in range(2)]
    for thread in greedy:
        thread.start()
    try:
        for _ in range(20):
            assert requests.post(server.url + PATH, data=ROW, timeout=60).ok
    finally:
        is_over.set()
        for thread in greedy:
            thread.join()


def test_escaped_slash_stays_in_the_id_it_stands_in(server):
    row = {"sequence": ["open"], "session": "a/memory"}
    posted = requests.post(server.url + PATH, json={"instances": [row]}, timeout=60)
    assert posted.ok

    path = f"{server.url}/v1/models/label/sessions/a%2Fmemory"
    shown = requests.get(path, timeout=60).json()

    assert shown["session"] == "a/memory"


def test_request_ids_of_all_workers_differ(server):
    ids = [
        requests.post(server.url + PATH, data=ROW, timeout=60).headers["X-Request-Id"]
        for _ in range(40)
    ]

    assert len(set(ids)) == 40
    assert {len(name) for name in ids} == {32}
