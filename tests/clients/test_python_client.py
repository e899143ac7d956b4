"""The Python client against the service's own application, with answers that are lost.

`tests/clients/test_killed_consumer.py` has what needs a real server.
"""

import asyncio
import inspect
import json
import math
import pickle
import socket
import sys
import threading
import time
from contextlib import suppress
from email.utils import formatdate

import carryover_client
import httpx
import numpy as np
import pytest
from carryover_client import AsyncClient, Client

from service import errors
from service.sessions.version_policy import Retention
from tests import assembly
from tests.fakes import FakeClock, counting_model
from tests.imports import imported
from tests.keys import NO_KEYS, keyed
from tests.servers import ROOT
from tests.service.test_forecast import markov_model

SOURCE = ROOT / "clients" / "python" / "carryover_client.py"
URL = "http://service"
TOLERANCE = 1e-6  # float32 shares


class LossyTransport(httpx.BaseTransport):
    """Carries requests to the application, and loses answers on request.

    Attributes:
        requests: Every request that reached the service.
        num_lost: Number of answers that are still to be lost.
    """

    def __init__(self, app):
        self.inner = httpx.WSGITransport(app)
        self.requests, self.num_lost = [], 0

    def handle_request(self, request):
        self.requests.append(request)
        response = self.inner.handle_request(request)
        if self.num_lost:
            self.num_lost -= 1
            raise httpx.ReadError("the connection was reset", request=request)
        return response


@pytest.fixture
def clock():
    return FakeClock()


def build_app(clock, tenants=NO_KEYS):
    """The application over the counting model and one that can forecast."""
    return assembly.build_app(
        [counting_model(max_events=2000), markov_model()],
        clock=clock,
        tenants=tenants,
        retention=Retention(snapshots=3),
    )


@pytest.fixture
def app(clock):
    return build_app(clock)


@pytest.fixture
def transport(app):
    return LossyTransport(app)


@pytest.fixture
def client(transport, monkeypatch):
    monkeypatch.setattr(carryover_client, "FIRST_WAIT_SECONDS", 0.001)
    with Client(URL, transport=transport) as client:
        yield client


def keys_of(transport):
    return [request.headers.get("Idempotency-Key") for request in transport.requests]


def subclasses(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def test_every_problem_code_has_its_exception_in_the_same_tree():
    declared = {
        cls.code: cls.__bases__[0].code for cls in subclasses(errors.CarryoverError)
    }
    declared = {
        code: "" if parent == errors.CarryoverError.code else parent
        for code, parent in declared.items()
    } | {errors.CarryoverError.code: ""}

    known = {
        code: cls.__bases__[0].code for code, cls in carryover_client.CLASSES.items()
    }
    assert known.pop("no_answer") == ""
    assert known == declared


def test_client_is_one_file_over_httpx():
    assert set(imported(SOURCE)) - sys.stdlib_module_names == {"httpx"}


def test_both_clients_have_the_same_calls():
    def calls(cls):
        return {name for name, _ in inspect.getmembers(cls) if name[0] != "_"}

    assert calls(Client) - {"close"} == calls(AsyncClient) - {"aclose"}


def test_session_counts_its_events_and_sends_step_and_key(client, transport):
    with client.session("counting", "s") as session:
        assert session.step == 0
        first = session.predict(["red"], top=1)
        second = session.predict(np.array(["green", "red", "red"]))

    assert first["top"] == [{"label": "red", "probability": 1.0}]
    assert second["probabilities"] == [0.75, 0.25, 0.0]
    assert (second["labels"], second["model_version"]) == (
        ["red", "green", "poison"],
        "1",
    )
    sent = [json.loads(request.content) for request in transport.requests[1:]]
    assert [body["instances"][0]["at"] for body in sent] == [0, 1]
    assert len(set(keys_of(transport)[1:])) == 2
    with client.session("counting", "s") as again:
        assert again.step == 4


def test_lost_answer_is_asked_for_again_and_applied_once(client, transport):
    session = client.session("counting", "s")
    session.predict(["red"])
    transport.num_lost = 2

    answer = session.predict(["green"])

    assert answer["probabilities"] == [0.5, 0.5, 0.0]
    assert session.reload()["step"] == 2
    assert len(set(keys_of(transport)[2:5])) == 1


def test_another_event_after_a_lost_answer_does_not_take_its_step(transport):
    with Client(URL, transport=transport, retry_seconds=0) as client:
        session = client.session("counting", "s")
        session.reload()
        transport.num_lost = 1
        with pytest.raises(carryover_client.NoAnswer, match="was reset"):
            session.predict(["red"])
        with pytest.raises(carryover_client.StepConflict) as conflict:
            session.predict(["green"])
        assert conflict.value.problem["step"] == 1

        assert session.reload()["step"] == 1
        assert session.predict(["green"])["probabilities"] == [0.5, 0.5, 0.0]


def test_same_call_after_a_lost_answer_gets_that_answer(transport):
    with Client(URL, transport=transport, retry_seconds=0) as client:
        session = client.session("counting", "s")
        session.reload()
        transport.num_lost = 1
        with pytest.raises(carryover_client.NoAnswer):
            session.predict(["red"])

        answer = session.predict(["red"])

    assert (answer["step"], answer["probabilities"]) == (1, [1.0, 0.0, 0.0])
    assert keys_of(transport)[1] == keys_of(transport)[2]


@pytest.mark.parametrize(
    "look", [lambda s: s.touch(), lambda s: s.fork("t")], ids=["touch", "fork"]
)
def test_change_between_a_lost_answer_and_its_repeat_hides_nothing(transport, look):
    with Client(URL, transport=transport, retry_seconds=0) as client:
        session = client.session("counting", "s")
        session.reload()
        transport.num_lost = 1
        with pytest.raises(carryover_client.NoAnswer):
            session.predict(["red"])
        look(session)

        assert session.predict(["red"])["step"] == 1
        assert session.reload()["step"] == 1


def test_same_event_after_a_rewind_is_applied_again(transport):
    with Client(URL, transport=transport, retry_seconds=0) as client:
        session = client.session("counting", "s")
        session.predict(["red"])
        transport.num_lost = 1
        with pytest.raises(carryover_client.NoAnswer):
            session.predict(["green"])
        session.rewind(1)

        assert session.predict(["green"])["step"] == 2
        assert session.reload()["step"] == 2


@pytest.mark.parametrize(
    ("call", "is_repeated"),
    [
        (lambda s, c: s.reload(), True),
        (lambda s, c: s.touch(ttl_seconds=9), True),
        (lambda s, c: s.explain(["red"]), True),
        (lambda s, c: s.predict(["red"], key=""), True),
        (lambda s, c: c.predict("counting", [["red"]], key=""), True),
        (
            lambda s, c: c.predict("counting", [{"sequence": ["red"], "session": "t"}]),
            True,
        ),
        (lambda s, c: c.get("models/counting/metadata"), True),
        (lambda s, c: s.fork("t"), False),
        (lambda s, c: s.rewind(1), False),
        (lambda s, c: s.delete(), False),
        (lambda s, c: list(s.stream(["red"])), False),
        (
            lambda s, c: c.predict(
                "counting", [{"sequence": ["red"], "session": "t"}], key=""
            ),
            False,
        ),
    ],
)
def test_only_a_call_that_may_be_repeated_is(client, transport, call, is_repeated):
    session = client.session("counting", "s")
    session.predict(["red", "green"])
    transport.requests.clear()
    transport.num_lost = 1

    if is_repeated:
        call(session, client)
    else:
        with pytest.raises(carryover_client.NoAnswer):
            call(session, client)

    assert len(transport.requests) == 1 + is_repeated


def outcome(status, text="", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(
        status, text=text, headers=names, request=httpx.Request("GET", URL)
    )


BUSY = outcome(503, '{"code": "overloaded", "detail": "busy."}', Retry_After="7")
REFUSED = httpx.ConnectError("refused")
RESET = httpx.ReadError("reset")


def waits_of(client, outcomes, *, is_safe=True):
    """Seconds a call waits between its tries, and the error it ends with."""
    work = client._attempt(httpx.Request("GET", URL), is_safe)
    waits = [next(work)[0]]
    try:
        for outcome in outcomes:
            waits.append(work.send(outcome)[0])
    except (carryover_client.CarryoverError, StopIteration) as end:
        return waits, end
    return waits, None


@pytest.mark.parametrize(
    ("outcomes", "is_safe", "bounds", "error"),
    [
        ([BUSY, BUSY], True, [(7, 7), (7, 7)], None),
        ([BUSY] * 9, True, [(7, 7)] * 8, carryover_client.Overloaded),
        ([BUSY], False, [], carryover_client.Overloaded),
        ([RESET, RESET, RESET], True, [(0.1, 0.2), (0.2, 0.4), (0.4, 0.8)], None),
        ([RESET], False, [], carryover_client.NoAnswer),
        ([REFUSED], False, [(0.1, 0.2)], None),
        ([outcome(502, "<html>")], True, [(0.2, 0.2)], None),
        ([outcome(504, "<html>")], True, [], carryover_client.CarryoverError),
        ([outcome(429, Retry_After="2")], True, [(2, 2)], None),
        ([outcome(200)], True, [], StopIteration),
    ],
)
def test_waits_are_those_the_service_asks_for_or_grow(
    client, outcomes, is_safe, bounds, error, monkeypatch
):
    monkeypatch.setattr(carryover_client, "FIRST_WAIT_SECONDS", 0.1)
    (first, *waits), end = waits_of(client, outcomes, is_safe=is_safe)

    assert first == 0
    assert len(waits) == len(bounds)
    for wait, (least, most) in zip(waits, bounds, strict=True):
        assert least <= wait <= most
    assert type(end) is (error or type(None))


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


def test_service_that_does_not_answer_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            Client(url, timeout_seconds=0.05, retry_seconds=0) as client,
            pytest.raises(carryover_client.NoAnswer, match="ReadTimeout"),
        ):
            client.predict("counting", [["red"]])


def test_error_has_the_problem_and_survives_pickling(client):
    with pytest.raises(carryover_client.UnknownEvent, match="unknown_event: ") as error:
        client.session("counting", "s").predict(["blue"])

    again = pickle.loads(pickle.dumps(error.value))
    assert again.problem == error.value.problem
    assert again.problem["status"] == 400
    assert isinstance(again, carryover_client.InvalidRequest)


def test_row_that_failed_among_others_is_raised_by_check(client):
    answer = client.predict("counting", [["red"], ["blue"]])

    assert carryover_client.check({"step": 1}) == {"step": 1}
    assert answer["predictions"][0] == [1.0, 0.0, 0.0]
    with pytest.raises(carryover_client.UnknownEvent):
        carryover_client.check(answer["predictions"][1])


def test_session_that_is_gone_starts_again_only_on_request(client, clock):
    client.session("counting", "s").predict(["red"], ttl_seconds=10)
    clock.advance(11)

    with (
        pytest.raises(carryover_client.SessionGone),
        client.session("counting", "s"),
    ):
        pass
    with client.session("counting", "s", start=True) as session:
        assert session.step == 0
        assert [answer["step"] for answer in session.stream(["red", "red"])] == [1, 2]
        assert session.predict(["green"], end=True)["ended"]
    with client.session("counting", "s", start=True) as session:
        assert session.predict(["green"])["probabilities"] == [0, 1, 0]


def test_session_that_is_gone_in_use_starts_again_on_request(client, clock, transport):
    session = client.session("counting", "s", start=True)
    session.predict(["red"], ttl_seconds=10)
    clock.advance(11)
    transport.num_lost = 2  # that it is gone, and that it has started

    answers = [session.predict(iter(["green"]), end=True), session.predict(["red"])]

    assert [answer["step"] for answer in answers] == [1, 1]
    client.session("counting", "s").delete()
    with pytest.raises(carryover_client.SessionGone):
        list(session.stream(["red", "red"]))
    assert [answer["step"] for answer in session.stream(["red", "red"])] == [1, 2]
    clock.advance(101)
    assert session.explain(["red"])["step"] == 1


def test_session_that_another_client_started_is_not_continued_unseen(client, clock):
    session = client.session("counting", "s", start=True)
    session.predict(["red"], ttl_seconds=10)
    clock.advance(11)
    client.session("counting", "s", start=True).predict(["red"] * 2)

    with pytest.raises(carryover_client.StepConflict):
        session.predict(["green", "green"])


def test_session_that_is_gone_in_use_stays_gone_without_request(client, clock):
    session = client.session("counting", "s")
    session.predict(["red"], ttl_seconds=10)
    clock.advance(11)

    for _ in range(2):
        with pytest.raises(carryover_client.SessionGone):
            session.predict(["red"])
        with pytest.raises(carryover_client.SessionGone):
            list(session.stream(["red"]))


@pytest.mark.parametrize("events", ["red", b"red", {"red"}, {"red": 1}])
def test_events_that_are_no_list_are_refused_before_they_are_sent(
    client, transport, events
):
    session = client.session("counting", "s")
    session.predict(["red"])
    num_sent = len(transport.requests)

    for call in (
        session.predict,
        lambda events: session.forecast(2, events),
        lambda events: list(session.stream(events)),
        lambda rows: client.predict("counting", rows),
        lambda rows: list(client.stream("counting", rows)),
        client.sealed("counting").predict,
    ):
        with pytest.raises(TypeError, match=r"of type \w+; expected a list"):
            call(events)

    assert len(transport.requests) == num_sent


@pytest.mark.parametrize("event", [b"red", {"red"}, object()])
def test_event_that_json_has_not_is_refused(client, event):
    with pytest.raises(TypeError, match=r"of type \w+; expected what JSON has"):
        client.session("counting", "s").predict([event])


def test_stream_of_any_length_is_cut_and_answered_in_order(client, transport):
    events = ["red", "green", "green"] * 200

    with client.session("counting", "s") as session:
        answers = list(session.stream(iter(events)))

    assert [answer["step"] for answer in answers] == [*range(1, 601)]
    (whole,) = client.predict("counting", [events])["predictions"]
    np.testing.assert_allclose(answers[-1]["probabilities"], whole, atol=TOLERANCE)
    assert session.step == 600
    assert len(transport.requests) == 1 + math.ceil(600 / 256) + 1


def test_stream_is_cut_by_bytes_too(client, transport):
    rows = [["red"] * 1500] * 30

    assert len(list(client.stream("counting", rows, top=1))) == 30

    sizes = [len(request.content) for request in transport.requests]
    assert max(sizes) <= carryover_client.MAX_PIECE_BYTES < sum(sizes)


def test_failed_event_of_a_stream_raises_and_no_later_one_is_applied(client):
    with client.session("counting", "s") as session:
        with pytest.raises(carryover_client.UnknownEvent):
            list(session.stream(["red", "blue", "green"]))

        assert session.step == session.reload()["step"] == 1


def test_stream_of_many_sessions_shows_problems_in_their_place(client):
    rows = [{"sequence": [event], "session": event} for event in ("red", "blue")]

    good, bad = client.stream("counting", rows)

    assert good["step"] == 1
    assert bad["code"] == "unknown_event"


def test_stream_that_ends_early_raises():
    line = httpx.MockTransport(
        lambda request: httpx.Response(200, text='{"step": 1}\n')
    )

    with (
        Client(URL, transport=line) as client,
        pytest.raises(carryover_client.NoAnswer, match="1 answers early"),
    ):
        list(client.stream("counting", [["red"], ["red"]]))


def test_memory_of_a_client_gives_what_a_session_gives(client, transport):
    sealed, session = client.sealed("counting"), client.session("counting", "s")
    for event in ("red", "green", "red"):
        same = sealed.predict([event]), session.predict([event])

    assert same[0]["probabilities"] == same[1]["probabilities"]
    assert sealed.step == 3
    again = client.sealed("counting", sealed.token)
    assert again.explain(["red"])["step"] == 4


def test_explained_session_moves_and_a_forecast_stays(client):
    with client.session("days", "s") as session:
        assert session.explain(["wake"], top=1)["layers"] == []
        path = session.forecast(3, ["eat"])["path"]
        again = session.forecast(2, samples=2, seed=1)

    assert len(path["events"]) == 3
    assert len(again["samples"]) == 2
    assert session.reload()["step"] == 1


def test_changed_session_is_where_the_change_left_it(client):
    with client.session("counting", "s") as session:
        for event in ("red", "green"):
            session.predict([event])
        session.fork("t")
        session.rewind(1)
        assert session.predict(["red"])["probabilities"] == [1, 0, 0]
        session.touch(ttl_seconds=7)
        assert session.reload()["idle_seconds"] == 7
        page = client.get("models/counting/sessions", prefix="t")
        assert [entry["step"] for entry in page["sessions"]] == [2]
        session.delete()
        with pytest.raises(carryover_client.SessionGone):
            session.predict(["red"])


def test_api_key_opens_the_sessions_of_its_tenant(clock):
    app = build_app(clock, keyed(("acme", "secret-key")))

    with Client(URL, "secret-key", transport=LossyTransport(app)) as client:
        assert client.session("counting", "s").predict(["red"])["step"] == 1
        assert "secret-key" not in repr(vars(client)) + repr(client._http.headers)
    with (
        Client(URL, transport=LossyTransport(app)) as client,
        pytest.raises(carryover_client.Unauthorized),
    ):
        client.session("counting", "s").predict(["red"])


def test_asynchronous_session_asks_again_too(app, monkeypatch):
    monkeypatch.setattr(carryover_client, "FIRST_WAIT_SECONDS", 0.001)

    class Lossy(LossyTransport, httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            response = self.handle_request(request)
            return httpx.Response(response.status_code, content=response.read())

    async def drive():
        transport = Lossy(app)
        async with AsyncClient(URL, transport=transport) as client:
            async with client.session("counting", "s") as session:
                transport.num_lost = 1
                await session.predict(["red"])
            answers = [answer async for answer in session.stream(["green"] * 300)]
            with pytest.raises(carryover_client.UnknownEvent):
                await client.sealed("counting").predict(["blue"])
            return session.step, answers[-1]["step"]

    assert asyncio.run(drive()) == (301, 301)
