"""The Python client against the service's own application, with answers that are lost.

`tests/clients/test_killed_consumer.py` has what needs a real server.
"""

import asyncio
import inspect
import json
import pickle
import socket
import sys

import carryover_client
import httpx
import numpy as np
import pytest
from carryover_client import AsyncClient, Client

from service import errors
from tests.clients.lossy import (
    URL,
    Exhausted,
    LossyTransport,
    build_app,
    outcome,
    waits_of,
)
from tests.imports import imported
from tests.keys import keyed
from tests.servers import ROOT

SOURCE = ROOT / "clients" / "python" / "carryover_client.py"


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


BUSY = outcome(503, '{"code": "overloaded", "detail": "busy."}', Retry_After="7")
REFUSED = httpx.ConnectError("refused")
RESET = httpx.ReadError("reset")


@pytest.mark.parametrize(
    ("outcomes", "is_safe", "bounds", "error"),
    [
        ([BUSY, BUSY], True, [(7, 7), (7, 7)], Exhausted),
        ([BUSY] * 9, True, [(7, 7)] * 8, carryover_client.Overloaded),
        ([BUSY], False, [], carryover_client.Overloaded),
        ([RESET, RESET, RESET], True, [(0.1, 0.2), (0.2, 0.4), (0.4, 0.8)], Exhausted),
        ([RESET], False, [], carryover_client.NoAnswer),
        ([REFUSED], False, [(0.1, 0.2)], Exhausted),
        ([outcome(502, "<html>")], True, [(0.2, 0.2)], Exhausted),
        ([outcome(504, "<html>")], True, [], carryover_client.CarryoverError),
        ([outcome(429, Retry_After="2")], True, [(2, 2)], Exhausted),
        ([outcome(200, "{}")], True, [], type(None)),
    ],
)
def test_waits_are_those_the_service_asks_for_or_grow(outcomes, is_safe, bounds, error):
    (first, *waits), end = waits_of(outcomes, is_safe=is_safe)

    assert first == 0
    assert len(waits) == len(bounds)
    for wait, (least, most) in zip(waits, bounds, strict=True):
        assert least <= wait <= most
    assert type(end) is error


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


def test_api_key_opens_the_sessions_of_its_tenant(clock):
    app = build_app(clock, keyed(("acme", "secret-key")))

    transport = LossyTransport(app)
    with Client(URL, "secret-key", transport=transport) as client:
        assert client.session("counting", "s").predict(["red"])["step"] == 1
        request = transport.requests[-1]
        assert request.headers["Authorization"] == "Bearer secret-key"
        assert "secret-key" not in repr(vars(client)) + repr(request.headers)
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
