"""gunicorn's worker, with connections that end when they should."""

import contextlib
import http.client
import random
import socket
import struct
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.service import workers
from tests.service.workers import STOP_SECONDS, Service, read_all
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.server

start = pytest.fixture(workers.start)
LARGE_BYTES = 20_000_000
# A socket that is closed resets its connection.
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One that hangs up on silent clients and slow bodies within a second or two."""
    home = tmp_path_factory.mktemp("worker")
    running = Service(
        home, SILENT_SECONDS="0.5", CARRYOVER_REQUEST_TIMEOUT_SECONDS="0.5"
    )
    yield running
    running.process.kill()
    running.process.wait()


def test_a_silent_client_is_hung_up_on(service):
    with service.connect() as client:
        assert read_all(client) == b""


def test_a_client_that_falls_silent_after_a_request_is_hung_up_on(service):
    with service.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert read_all(client).startswith(b"HTTP/1.1 200")


def test_a_client_that_never_ends_its_headers_is_hung_up_on(service):
    with service.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")

        assert b"200 OK" not in read_all(client)


HEADS = {
    "announced": b"Content-Length: 10\r\n\r\nabc",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_body_that_never_ends_is_refused(service, head):
    with service.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)

        received = read_all(client)

    assert received.startswith(b"HTTP/1.1 400")
    assert b"the body cannot be read" in received


@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\n", b"3\r\nabc", b"\r\n0\r\n\r\n", b";x\r\n"],
    ids=["no length", "no end", "an empty length", "an extension alone"],
)
def test_a_broken_chunk_is_refused_once_and_ends_the_connection(service, chunks):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    hidden = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with service.connect() as client:
        client.sendall(head + chunks + hidden)

        received = read_all(client)

    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_body_that_nobody_reads_and_never_ends_is_hung_up_on(service, head):
    with service.connect() as client:
        client.sendall(b"POST /ignore HTTP/1.1\r\nHost: x\r\n" + head)

        assert read_all(client).startswith(b"HTTP/1.1 200")


def test_slow_bodies_do_not_hold_up_others(start):
    service = start()
    with ExitStack() as stack:
        clients = [stack.enter_context(service.connect()) for _ in range(50)]
        for client in clients:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + HEADS["announced"])

        for k in range(20):
            answer = requests.post(
                service.url, data=f"quick {k}", timeout=TIMEOUT_SECONDS
            )
            assert answer.text == f"quick {k}"

        for client in clients:
            client.sendall(b"defghij")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).endswith(b"abcdefghij")


def test_a_client_that_is_gone_within_a_head_leaves_no_trace(service):
    with service.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert service.answers()  # so the other one has been taken up
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    assert service.answers()
    assert "Traceback" not in (service.home / "log").read_text()


def test_a_body_of_broken_chunks_that_nobody_reads_ends_the_connection(service):
    request = b"POST /ignore HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with service.connect() as client:
        client.sendall(request + b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert read_all(client).count(b"HTTP/1.1") == 1
    assert "Traceback" not in (service.home / "log").read_text()


def test_an_answer_that_nobody_reads_is_dropped(service):
    with service.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        threading.Event().wait(3)  # longer than the service waits

        with contextlib.suppress(ConnectionError):
            assert len(read_all(client)) < LARGE_BYTES


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"Content-Length: 1000000000000\r\n\r\n", b"x" * 1000),
    ],
    ids=["trailers", "small chunks", "a large body"],
)
def test_a_client_that_sends_without_end_holds_up_no_other(service, head, endless):
    with service.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
        sender = threading.Thread(target=send_until_it_ends, args=(client, endless))
        sender.start()

        for k in range(5):
            answer = requests.post(
                service.url, data=f"quick {k}", timeout=TIMEOUT_SECONDS
            )
            assert answer.text == f"quick {k}"
        sender.join(TIMEOUT_SECONDS)

    assert not sender.is_alive()


def send_until_it_ends(client, piece):
    with contextlib.suppress(OSError):
        while True:
            client.sendall(piece * 1000)


def test_requests_sent_together_let_others_in_between(start):
    service = start()
    together = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" * 2000  # 100 seconds
    with service.connect() as client:
        client.sendall(together)

        answer = requests.post(service.url, data="quick", timeout=STOP_SECONDS)

    assert answer.text == "quick"


LINES = b"POST /lines HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_silent_stream_is_ended_with_its_reason(start):
    service = start(CARRYOVER_STREAM_IDLE_SECONDS="1")
    with service.connect() as client:
        client.sendall(LINES + b"2\r\na\n\r\n")

        received = read_all(client)

    assert b"a\n" in received
    assert b"no whole line came for 1 seconds (CARRYOVER_STREAM_IDLE_SEC" in received
    assert b"Nothing of what came" in received


def test_a_stream_with_a_line_now_and_then_is_kept(start):
    service = start(CARRYOVER_STREAM_IDLE_SECONDS="4", SILENT_SECONDS="0.5")
    with service.connect() as client:
        client.sendall(LINES)
        for _ in range(5):
            threading.Event().wait(1)  # five seconds in all
            client.sendall(b"2\r\na\n\r\n")
        client.sendall(b"0\r\n\r\n")

        received = read_all(client)

    assert received.count(b"a\n") == 5
    assert b"no whole line" not in received


def test_the_kernel_probes_silent_clients(service):
    """Timer 2 of a connection is that of keepalive, in hundredths of a second."""
    with service.connect() as client:
        client.sendall(LINES + b"2\r\na\n\r\n")
        while b"a\n" not in client.recv(65536):
            pass
        port, peer = service.port, client.getsockname()[1]
        wait_until(lambda: find_timer(port, peer)[0] == "02")
        _, ticks = find_timer(port, peer)

    assert 0 < ticks <= 60 * 100


def find_timer(port, peer):
    """Return the running timer of a connection, as the kernel shows it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, timer, *_ = line.split()
        if local.endswith(f":{port:04X}") and remote.endswith(f":{peer:04X}"):
            kind, _, ticks = timer.partition(":")
            return kind, int(ticks, 16)
    return "", 0


def test_lines_are_the_same_however_they_are_cut(service):
    rng = random.Random(7)
    sizes = [
        *range(12),
        *(rng.randrange(70) for _ in range(500)),
        999,
        1000,
        1001,
        2500,
    ]
    rng.shuffle(sizes)
    lines = [f"{k} ".encode().ljust(size, b"x")[:size] for k, size in enumerate(sizes)]
    body, chunks = b"".join(line + b"\n" for line in lines), []
    while body:
        size = rng.choice([1, 2, 60, 500, 9000, 20000])
        chunks.append(b"%x\r\n%b\r\n" % (len(body[:size]), body[:size]))
        body = body[size:]
    sent = LINES + b"".join(chunks) + b"0\r\n\r\n"
    with service.connect() as client:
        while sent:
            size = rng.choice([1, 100, 5000, 50000])
            client.sendall(sent[:size])
            sent = sent[size:]

        answer = http.client.HTTPResponse(client)
        answer.begin()
        answered = answer.read().splitlines()

    long = b"the line is longer than 1000 bytes"
    expected = [long if len(line) > 1000 else line for line in lines if line.strip()]
    assert len(answered) == len(expected)
    for answer, line in zip(answered, expected, strict=True):
        assert answer == line or (line is long and answer.startswith(long))
