"""The Python client with hostile or damaged keys, answers, waits and proxies."""

import math
import socket
import threading
import time
from contextlib import suppress
from email.utils import formatdate

import carryover_client
import httpx
import pytest
from carryover_client import Client

from tests.clients.lossy import URL, LossyTransport, build_app, outcome, waits_of
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
def test_retry_after_of_any_form_neither_hurries_nor_breaks_a_call(
    client, asked, least, most, monkeypatch
):
    monkeypatch.setattr(carryover_client, "FIRST_WAIT_SECONDS", 0.1)
    client._retry_seconds = math.inf
    num_tries = 1100  # floats end before 2**1024

    waits, end = waits_of(client, [outcome(503, Retry_After=asked)] * num_tries)

    assert end is None
    assert all(least <= wait <= most for wait in waits[1:])


def test_date_is_waited_for(client):
    client._retry_seconds = math.inf
    busy = [outcome(503, Retry_After=date_in(seconds)) for seconds in (500, 10**9)]

    (_, *waits), _ = waits_of(client, busy)

    assert waits == [pytest.approx(500, abs=30), 86_400]


@pytest.mark.parametrize("is_safe", [True, False])
def test_call_that_is_repeated_for_ever_still_raises_what_no_repeat_helps(
    client, is_safe
):
    client._retry_seconds = math.inf
    problem = outcome(400, '{"code": "invalid_json", "detail": "no."}')

    waits, end = waits_of(client, [problem], is_safe=is_safe)

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
