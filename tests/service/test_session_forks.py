"""`:fork`: another session from the same memory."""

import pytest

from tests.problems import assert_problem
from tests.service import changes
from tests.service.changes import PATH

engine = pytest.fixture(changes.engine)
send = pytest.fixture(changes.send)


def test_fork_goes_its_own_way_from_the_same_memory(client, send):
    send("a", "red")

    response = client.post(PATH + "a:fork", json={"to": "b"})

    assert response.status_code == 201
    assert response.get_json()["session"] == "b"
    assert response.get_json()["last_event"] == "red"
    assert send("b", "green")["probabilities"] == [0.5, 0.5, 0.0]
    assert send("a", "red")["probabilities"] == [1.0, 0.0, 0.0]
    assert [client.get(PATH + s).get_json()["step"] for s in "ab"] == [2, 2]


def test_fork_has_its_own_times_and_the_lifetime_of_its_source(client, send, clock):
    send("a", "red", ttl_seconds=30)
    clock.advance(10)

    fork = client.post(PATH + "a:fork", json={"to": "b"}).get_json()
    other = client.post(PATH + "a:fork", json={"to": "c", "ttl_seconds": 5}).get_json()

    assert fork["created_at"] == "2023-11-14T22:13:30.000Z"
    assert (fork["idle_seconds"], other["idle_seconds"]) == (30, 5)


def test_fork_onto_a_live_session_is_refused_and_changes_nothing(client, send):
    send("a", "red")
    send("b", "green", "green")

    response = client.post(PATH + "a:fork", json={"to": "b"})
    itself = client.post(PATH + "a:fork", json={"to": "a"})

    assert_problem(response, 409, "session_live")
    assert_problem(itself, 409, "session_live")
    assert client.get(PATH + "b").get_json()["step"] == 2


def test_fork_onto_a_gone_session_needs_start(client, send):
    send("a", "red")
    send("b", "green", "green", end=True)

    refused = client.post(PATH + "a:fork", json={"to": "b"})
    begun = client.post(PATH + "a:fork", json={"to": "b", "start": True})

    assert assert_problem(refused, 410, "session_gone")["step"] == 2
    assert (begun.status_code, begun.get_json()["step"]) == (201, 1)


def test_fork_does_not_repeat_its_sources_answers(client, predict):
    body = {"instances": [{"sequence": ["red"], "session": "a"}]}
    keyed = {"Idempotency-Key": '"k"'}
    client.post("/v1/models/counting:predict", json=body, headers=keyed)
    client.post(PATH + "a:fork", json={"to": "b"})

    body["instances"][0]["session"] = "b"
    response = client.post("/v1/models/counting:predict", json=body, headers=keyed)

    assert response.get_json()["predictions"][0]["step"] == 2
    assert "Idempotency-Replayed" not in response.headers


def test_fork_keeps_the_answers_of_the_ids_former_life(client, predict, send):
    body = {"instances": [{"sequence": ["red"], "session": "b", "end": True}]}
    keyed = {"Idempotency-Key": '"k"'}
    first = client.post("/v1/models/counting:predict", json=body, headers=keyed)
    send("a", "green")
    client.post(PATH + "a:fork", json={"to": "b", "start": True})

    again = client.post("/v1/models/counting:predict", json=body, headers=keyed)

    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert client.get(PATH + "b").get_json()["step"] == 1
