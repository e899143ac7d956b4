"""The Python client with hostile or damaged keys, answers, waits and proxies."""

import asyncio
import math
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate

import carryover_client
import httpx
import pytest
from carryover_client import AsyncClient, Client

from tests.clients.lossy import (
    URL,
    Exhausted,
    LossyTransport,
    build_app,
    outcome,
    waits_of,
)
from tests.keys import keyed


def date_in(seconds):
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("0", 0.1, 5),
        ("000", 0.1, 5),
        ("-3", 0.1, 5),
        ("soon", 0.1, 5),
        ("1e9", 0.1, 5),
        ("nan", 0.1, 5),
        ("9" * 5000, 86_400, 86_400),
        ("Fri, 32 Dec 99999 99:99:99 GMT", 0.1, 5),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 0.1, 5),
    ],
)
def test_retry_after_of_any_form_neither_hurries_nor_breaks_a_call(asked, least, most):
    num_tries = 1100  # floats end before 2**1024

    busy = [outcome(503, Retry_After=asked)] * num_tries
    waits, end = waits_of(busy, retry_seconds=math.inf)

    assert isinstance(end, Exhausted)
    assert all(least <= wait <= most for wait in waits[1:])


def test_date_is_waited_for():
    busy = [outcome(503, Retry_After=date_in(seconds)) for seconds in (500, 10**9)]

    (_, *waits), _ = waits_of(busy, retry_seconds=math.inf)

    assert waits == [pytest.approx(500, abs=30), 86_400]


@pytest.mark.parametrize("is_safe", [True, False])
def test_call_that_is_repeated_for_ever_still_raises_what_no_repeat_helps(is_safe):
    problem = outcome(400, '{"code": "invalid_json", "detail": "no."}')

    waits, end = waits_of([problem], is_safe=is_safe, retry_seconds=math.inf)

    assert len(waits) == 1
    assert isinstance(end, carryover_client.InvalidJson)


NO_ANSWERS = [
    b"",
    b"<html>sign in</html>",
    b'{"predictions": [{"step": 1',
    b"[" * 100_000,
    b"17",
    b"null",
    b'{"ok": true}',
    b'{"predictions": []}',
    b'{"predictions": {"step": 1}}',
    b'{"predictions": [5]}',
    b'{"predictions": [{"step": "1"}]}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("body", NO_ANSWERS, ids=lambda body: body[:12].decode("latin"))
@pytest.mark.parametrize("status", [200, 400])
def test_answer_that_is_not_the_services_is_no_answer(body, status):
    reply = httpx.MockTransport(lambda request: httpx.Response(status, content=body))
    with Client(URL, transport=reply) as client:
        session = client.session("counting", "s")
        session.step = 0
        calls = [
            lambda: session.predict(["red"]),
            session.reload,
            lambda: session.rewind(0),
            lambda: list(session.stream(["red"])),
        ]
        for call in calls:
            with pytest.raises(carryover_client.CarryoverError) as error:
                call()
            assert str(error.value)


@pytest.mark.parametrize(
    "problem", [{"code": "overloaded"}, {"code": 7, "detail": ["x"]}, {"code": ["x"]}]
)
def test_problem_of_another_form_is_still_an_error_with_a_text(problem):
    reply = httpx.MockTransport(lambda request: httpx.Response(400, json=problem))

    with (
        Client(URL, transport=reply) as client,
        pytest.raises(carryover_client.CarryoverError) as error,
    ):
        client.get("models")

    assert str(error.value)


def test_redirect_is_not_followed_and_its_goal_is_named_without_secrets():
    asked = []

    def redirect(request):
        asked.append(request)
        return httpx.Response(301, headers={"Location": "https://service/v1/models"})

    with (
        Client(
            "http://me:secret@service", transport=httpx.MockTransport(redirect)
        ) as client,
        pytest.raises(carryover_client.CarryoverError) as error,
    ):
        client.get("models")

    assert len(asked) == 1
    assert "a redirect to https://service/v1/models. Check" in str(error.value)
    assert "secret" not in str(error.value)


def test_body_that_cannot_be_unpacked_is_asked_for_again(client, transport):
    garbled = [True]

    def answer(request):
        if garbled:
            garbled.clear()
            head = {"Content-Encoding": "gzip"}
            return httpx.Response(200, headers=head, stream=httpx.ByteStream(b"no"))
        return transport.handle_request(request)

    with Client(URL, transport=httpx.MockTransport(answer)) as client:
        assert client.session("counting", "s").predict(["red"])["step"] == 1


def test_proxy_that_refuses_is_no_answer_and_nothing_was_sent():
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(
            target=refuse_to_connect, args=(listener, asked), daemon=True
        ).start()
        with (
            Client("https://service", proxy=address, retry_seconds=0.25) as client,
            pytest.raises(carryover_client.NoAnswer, match="ProxyError"),
        ):
            client.session("counting", "s").delete()  # repeated only if not sent

    assert len(asked) > 1
    assert all(head.startswith(b"CONNECT ") for head in asked)


def refuse_to_connect(listener, asked):
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    with suppress(OSError):  # the listener is closed
        while True:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65_536))
                connection.sendall(answer)


@pytest.mark.parametrize("key", [0, 17, None])
def test_key_that_is_no_string_is_refused_and_not_left_out(client, transport, key):
    row = {"sequence": ["red"], "session": "s"}

    for call in (
        lambda: client.predict("counting", [row], key=key),
        lambda: client.session("counting", "s").predict(["red"], key=key),
    ):
        with pytest.raises(TypeError, match=r"key is of type \w+; expected a string"):
            call()

    assert [r for r in transport.requests if r.method == "POST"] == []


@pytest.mark.parametrize("key", ["é", "a\nb", "a\r\nHost: x", "\u202e"])
def test_key_that_no_header_can_carry_is_refused_without_being_shown(client, key):
    with pytest.raises(ValueError, match="key has a character other") as error:
        client.predict("counting", [["red"]], key=key)
    assert key not in str(error.value)
    with pytest.raises(ValueError, match="api_key has a character other") as error:
        Client(URL, api_key=key)
    assert key not in str(error.value)


def test_api_key_may_end_with_the_newline_of_its_file(clock):
    app = build_app(clock, keyed(("acme", "secret-key")))

    with Client(URL, "secret-key\n", transport=LossyTransport(app)) as client:
        assert client.session("counting", "s").predict(["red"])["step"] == 1


ANSWER = b'{"predictions": [{"step": 1}], "model_version": "1"}'
LINE = b'{"step": 1}\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
CHUNK = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(LINE), LINE)
# What a service sends before it stops: it closes then, or is silent.
CUTS = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": HEAD,
    "half a body": GOOD[:-7],
    "half a body of no length": HEAD + b"Connection: close\r\n\r\n" + ANSWER[:-7],
    "half a chunk": CHUNK[:-9],
    "no last chunk": CHUNK,
    "a head that is not HTTP": b"\x00\x01\r\n\r\n",
}


class Stopping:
    """A service that stops in the middle of its first answer, and then answers.

    Attributes:
        heads: The head of every request.
    """

    def __init__(self, cut, is_silent):
        self.heads, self._cut, self._is_silent = [], cut, is_silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _serve(self):
        with suppress(OSError):  # the listener is closed
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(ConnectionError):
                    self._answer(connection)

    def _answer(self, connection):
        self.heads.append(read_request(connection))
        if len(self.heads) > 1:
            connection.sendall(GOOD)
            return
        connection.sendall(self._cut)
        if self._is_silent:
            connection.recv(1)  # until the client gives up

    def keys(self):
        return [
            re.search(rb"(?i)idempotency-key: (.*)", head)[1] for head in self.heads
        ]


def read_request(connection):
    """Read a request to its end; return its head."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65_536)
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65_536)
    return head


OPTIONS = {"timeout_seconds": 0.2, "retry_seconds": 0}


@pytest.mark.parametrize("is_silent", [False, True], ids=["closes", "is silent"])
@pytest.mark.parametrize("cut", CUTS)
def test_same_call_after_a_cut_answer_is_the_same_request(cut, is_silent):
    with Stopping(CUTS[cut], is_silent) as service, Client(service.url, **OPTIONS) as c:
        session = c.session("counting", "s")
        session.step = 0
        with pytest.raises(carryover_client.NoAnswer) as error:
            session.predict(["red"])
        assert str(error.value)

        assert session.predict(["red"])["step"] == 1

        first, second = service.keys()
        assert first == second


@pytest.mark.parametrize("is_silent", [False, True], ids=["closes", "is silent"])
@pytest.mark.parametrize("cut", CUTS)
def test_cut_stream_raises_after_the_answers_that_came(cut, is_silent):
    with Stopping(CUTS[cut], is_silent) as service, Client(service.url, **OPTIONS) as c:
        session = c.session("counting", "s")
        session.step = 0
        answers = []
        with pytest.raises(carryover_client.NoAnswer):
            answers.extend(session.stream(["red", "red"]))

        assert len(service.heads) == 1  # a stream is not repeated by itself
        assert session.step == len(answers) == (cut == "no last chunk")


def test_cancelled_task_repeats_the_same_request():
    async def drive(service):
        async with AsyncClient(service.url) as client:
            session = client.session("counting", "s")
            session.step = 0
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.predict(["red"]), 0.2)
            return (await session.predict(["red"]))["step"]

    with Stopping(b"", is_silent=True) as service:
        assert asyncio.run(drive(service)) == 1
        first, second = service.keys()
        assert first == second


def test_client_of_many_threads_advances_each_session_alone(app):
    clients = LossyTransport(app)

    def advance(number):
        session = client.session("counting", f"s{number}")
        return [session.predict(["red"])["step"] for _ in range(5)]

    with (
        Client(URL, transport=clients) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        assert list(threads.map(advance, range(16))) == [[1, 2, 3, 4, 5]] * 16
