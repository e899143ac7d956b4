"""Requests that servers read differently: refused once, and the connection closed."""

import contextlib
import http.client
import json
import re
import signal
import threading

import pytest

from tests.framing.client import send_bytes, split_answers
from tests.framing.corpus import CORPUS
from tests.problems import assert_problem_body
from tests.servers import Server
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

# The libraries of TensorFlow write theirs by themselves, at loading.
OF_TENSORFLOW = re.compile(r"[A-Z]+: |[IWE]\d{4} |\s*$")
NUM_CLIENTS = 8


@pytest.fixture(scope="module")
def framed(servers, exported):
    return servers(exported[0], "litert")


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name[:60])
def test_answers_are_those_of_the_standard(framed, case):
    answers = split_answers(send_bytes(framed.port, case.sent, TIMEOUT_SECONDS))

    assert tuple(answer.status for answer in answers) in case.expected
    assert answers[-1].headers["connection"] == "close"
    for answer in answers:
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            body = json.loads(answer.body)
            assert_problem_body(body, answer.status, body["code"])


def test_names_of_cases_differ():
    assert len({case.name for case in CORPUS}) == len(CORPUS) > 150


def test_every_line_of_the_log_is_json(exported, tmp_path):
    with Server(exported[0], tmp_path, workers=1) as server:
        for case in CORPUS[::7]:
            send_bytes(server.port, case.sent, TIMEOUT_SECONDS)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "Hang up" in server.read_log(), server.read_log)
    lines = [line for line in server.read_log().splitlines() if line.strip()]
    own = [json.loads(line) for line in lines if not OF_TENSORFLOW.match(line)]

    assert {"time", "level", "process", "message"} <= own[0].keys()
    assert any("refused a request from" in line.get("message", "") for line in own)
    assert all(line["time"].endswith("Z") for line in own)


def test_reload_under_load_closes_no_connection_that_sends(exported, tmp_path):
    failures, counts, ended = [], [0] * NUM_CLIENTS, threading.Event()
    with Server(exported[0], tmp_path, runtime="litert") as server:
        clients = [
            threading.Thread(target=ask, args=(server, k, counts, failures, ended))
            for k in range(NUM_CLIENTS)
        ]
        for client in clients:
            client.start()
        before = find_processes(server)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not find_processes(server) & before)
        ended.set()
        for client in clients:
            client.join(TIMEOUT_SECONDS)

    assert failures == []
    assert min(counts) > 10


def ask(server, number, counts, failures, ended):
    """Send steps, over one connection for as long as it lasts; never one again."""
    row = {"sequence": ["open"], "session": f"reload-{number}"}
    while not ended.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        with contextlib.closing(connection):
            is_last = False
            while not is_last and not ended.is_set():
                try:
                    answer, is_last = send_row(connection, row)
                    counts[number] += 1
                    assert answer["predictions"][0]["step"] == counts[number]
                except Exception as error:
                    failures.append(error)
                    return


def send_row(connection, row):
    """Return the answer, and whether its connection is closed after it."""
    body = json.dumps({"instances": [row]})
    connection.request("POST", "/v1/models/label:predict", body)
    with connection.getresponse() as response:
        return json.load(response), response.getheader("Connection") == "close"


def find_processes(server):
    """Return the ids of the workers."""
    path = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    with open(path) as children:
        return set(children.read().split())
