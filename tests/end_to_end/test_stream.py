"""`:stream` through gunicorn: both directions at once, and clients that misbehave."""

import json
import select
import socket
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import requests

from tests import networks
from tests.waiting import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

PATH = "/v1/models/next-lstm:stream"
# Batches of other sizes round otherwise.
TOLERANCE = 1e-5
TIMEOUT_SECONDS = 30
# A client that cannot send for so long is being slowed down.
STUCK_SECONDS = 1.5
# What two workers may come to hold. TensorFlow allots itself more than that at its
# first batches, so only a service without it shows what waits.
MAX_GROWTH_BYTES = 64 * 2**20


def row(event, session, **options):
    return {"sequence": [event], "session": session, **options}


def dump(*rows):
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


class Connection:
    """A stream over a socket of its own; lines go out in chunks of HTTP."""

    def __init__(self, server, *headers, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(("127.0.0.1", server.port))
        head = [f"POST {PATH} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]
        self.socket.sendall("\r\n".join([*head, *headers, "\r\n"]).encode())
        self.received = self.socket.makefile("rb")
        self.status = None

    def send(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data) if data else b"")

    def finish(self):
        self.socket.sendall(b"0\r\n\r\n")

    def answers(self):
        """Yield the answers as they come."""
        self.status = self.received.readline()
        while self.received.readline().strip():
            pass
        while size := int(self.received.readline(), 16):
            yield from map(json.loads, self.received.read(size).splitlines())
            self.received.readline()

    def close(self):
        self.received.close()
        self.socket.close()


@pytest.fixture
def connect(server):
    """Begin streams, and close them after the test."""
    opened = []

    def begin(*headers, **options):
        opened.append(Connection(server, *headers, **options))
        return opened[-1]

    yield begin
    for connection in opened:
        connection.close()


def test_a_line_is_answered_before_the_next_one_is_sent(server, connect):
    connection = connect()
    answers = connection.answers()

    for step, event in enumerate(networks.VOCABULARY[:3], 1):
        connection.send(dump(row(event, "stream-lockstep")))
        streamed = next(answers)
        (single,) = server.predict("next-lstm", row(event, "stream-single")).json()[
            "predictions"
        ]
        assert streamed["step"] == step
        assert streamed["probabilities"] == single["probabilities"]
    connection.finish()

    assert list(answers) == []
    assert connection.status.startswith(b"HTTP/1.1 200")


def test_interleaved_sessions_are_answered_as_by_requests(server):
    rng = np.random.default_rng(1)
    sent = [
        (f"{rng.integers(20)}", networks.VOCABULARY[rng.integers(4)])
        for _ in range(600)
    ]
    data = dump(*[row(event, f"stream-mixed-{name}") for name, event in sent])

    response = requests.post(server.url + PATH, data=data, timeout=60)

    answers = [json.loads(line) for line in response.content.splitlines()]
    assert [a["session"] for a in answers] == [
        f"stream-mixed-{name}" for name, _ in sent
    ]
    for name in {name for name, _ in sent}:
        events = [event for other, event in sent if other == name]
        whole = server.predict("next-lstm", events, **{"return": "all"}).json()
        mine = [a for a in answers if a["session"] == f"stream-mixed-{name}"]
        assert [a["step"] for a in mine] == list(range(1, len(events) + 1))
        np.testing.assert_allclose(
            [a["probabilities"] for a in mine],
            whole["predictions"][0],
            atol=TOLERANCE,
        )


def curl(server):
    """Send a stream with curl, from its standard input."""
    command = ["curl", "-sS", "-N", "-X", "POST", "-T", "-", server.url + PATH]
    command += ["--max-time", str(TIMEOUT_SECONDS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_curl_sends_a_file_of_lines(server):
    event = networks.VOCABULARY[0]
    lines = dump(row(event, "file"), row("none", "other"), row(event, "file"))

    with curl(server) as process:
        answers, _ = process.communicate(lines[:-1])

    assert process.returncode == 0
    steps = [json.loads(line).get("step") for line in answers.splitlines()]
    assert steps == [1, None, 2]


def test_curl_receives_answers_while_it_sends(server):
    num_sent = 0

    with curl(server) as process:
        # It looks for answers only between two lines of its input.
        while not select.select([process.stdout], [], [], 0.05)[0]:
            process.stdin.write(dump(row(networks.VOCABULARY[0], "curl")))
            process.stdin.flush()
            num_sent += 1
            assert num_sent < TIMEOUT_SECONDS / 0.05
        answers, _ = process.communicate()

    assert process.returncode == 0
    steps = [json.loads(line)["step"] for line in answers.splitlines()]
    assert steps == list(range(1, num_sent + 1))


def test_a_client_that_expects_a_100_is_asked_to_continue(connect):
    connection = connect("Expect: 100-continue")

    assert connection.received.readline().startswith(b"HTTP/1.1 100")
    connection.received.readline()
    connection.send(dump(row(networks.VOCABULARY[0], "expecting")))
    assert next(connection.answers())["step"] == 1


def memory_of(server):
    """Sum up the workers' resident memory, in bytes."""
    pages = [
        int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        for pid in server.worker_pids()
    ]
    return 4096 * sum(pages)


def test_a_client_that_does_not_read_is_slowed_down(server, connect):
    block = dump(*[row(networks.VOCABULARY[0], f"slow-{k}") for k in range(100)])
    connection = connect(receive_bytes=4096)
    chunk = b"%x\r\n%s\r\n" % (len(block), block)
    before, num_blocks, unsent = memory_of(server), 0, b""
    connection.socket.setblocking(False)

    while select.select([], [connection.socket], [], STUCK_SECONDS)[1]:
        if not unsent:
            unsent, num_blocks = chunk, num_blocks + 1
        unsent = unsent[connection.socket.send(unsent) :]
        assert num_blocks < 20_000  # 100 MB
    grown = memory_of(server) - before
    connection.socket.settimeout(TIMEOUT_SECONDS)
    answers = connection.answers()
    first = [next(answers)["step"] for _ in range(200)]

    if server.environ["CARRYOVER_RUNTIME"] == "litert":
        assert grown < MAX_GROWTH_BYTES
    assert first == [1] * 100 + [2] * 100


def test_what_is_answered_before_a_client_is_gone_is_committed(server, connect):
    sessions = [f"gone-{k}" for k in range(50)]
    lines = dump(*[row(networks.VOCABULARY[1], name) for name in sessions])
    connection = connect("X-Request-Id: gone-in-the-middle")
    answered = dict.fromkeys(sessions, 0)
    num_visits = 40

    for _ in range(num_visits):
        connection.send(lines)
    answers = connection.answers()
    for _ in range(120):
        answer = next(answers)
        answered[answer["session"]] = answer["step"]
    # At once, with a reset, in the middle of a line.
    connection.send(lines[:-20])
    linger = struct.pack("ii", 1, 0)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()
    # In its log: then the request is over.
    wait_until(lambda: "gone-in-the-middle" in server.read_log())

    for name, step in answered.items():
        path = f"{server.url}/v1/models/next-lstm/sessions/{name}"
        found = requests.get(path, timeout=30).json()["step"]
        assert step <= found <= num_visits + 1
        (after,) = server.predict(
            "next-lstm", row(networks.VOCABULARY[2], name, at=found)
        ).json()["predictions"]
        events = [networks.VOCABULARY[1]] * found + [networks.VOCABULARY[2]]
        (whole,) = server.predict("next-lstm", events).json()["predictions"]
        np.testing.assert_allclose(after["probabilities"], whole, atol=TOLERANCE)
    assert "Traceback" not in server.read_log()
