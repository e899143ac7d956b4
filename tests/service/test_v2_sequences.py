"""Sequences of `/v2`: carried, restarted, repeated and refused."""

import pytest

from service.registry.catalog import Catalog
from tests.assembly import serve
from tests.fakes import counting_model
from tests.problems import assert_problem
from tests.service.v2_bodies import (
    INFER,
    NEVER_STARTED,
    binary_body,
    body,
    events,
    outputs_of,
)


@pytest.mark.parametrize("sequence_id", [42, "ticket-42", 2**64 - 1])
def test_sequence_is_carried_and_answered(infer, sequence_id):
    first = infer("red", sequence_id=sequence_id, sequence_start=True).get_json()

    second = infer("green", sequence_id=sequence_id).get_json()

    assert first["parameters"]["step"] == 1
    assert second["parameters"] == {
        "model_version": "1",
        "step": 2,
        "sequence_id": sequence_id,
        "expires_at": "2023-11-14T22:15:00.000Z",
    }
    assert second["outputs"][0]["data"] == [0.5, 0.5, 0.0]


def test_sequence_is_a_session_of_the_native_calls(infer, predict):
    infer("red", sequence_id=42, sequence_start=True)
    predict({"sequence": ["red"], "session": "42"})

    answer = infer("green", sequence_id="42").get_json()

    assert answer["parameters"]["step"] == 3


@pytest.mark.parametrize("sequence_id", [0, ""])
def test_no_id_is_no_sequence(infer, sequence_id):
    answer = infer("red", sequence_id=sequence_id).get_json()

    assert "sequence_id" not in answer["parameters"]
    assert "expires_at" not in answer["parameters"]


def test_sequence_that_never_started_is_refused_in_tritons_words(infer):
    problem = assert_problem(infer("red", sequence_id=7), 400, "sequence_not_started")

    assert problem["error"] == NEVER_STARTED.format(7)


def test_ended_sequence_is_gone_and_the_problem_says_since_when(infer):
    infer("red", sequence_id=7, sequence_start=True)
    ended = infer("red", sequence_id=7, sequence_end=True).get_json()

    problem = assert_problem(infer("red", sequence_id=7), 400, "sequence_not_started")

    assert ended["parameters"]["sequence_end"] is True
    assert "expires_at" not in ended["parameters"]
    assert (problem["reason"], problem["step"]) == ("ended", 2)
    assert problem["error"] == NEVER_STARTED.format(7)


def test_expired_sequence_is_gone(infer, clock):
    infer("red", sequence_id=7, sequence_start=True)
    clock.advance(100)

    problem = assert_problem(infer("red", sequence_id=7), 400, "sequence_not_started")

    assert problem["reason"] == "expired"


def test_start_and_end_in_one_request_is_a_sequence_of_one(infer):
    answer = infer("red", sequence_id=7, sequence_start=True, sequence_end=True)

    assert answer.get_json()["parameters"]["step"] == 1
    assert_problem(infer("red", sequence_id=7), 400, "sequence_not_started")


def test_start_restarts_a_live_sequence_and_says_so(infer):
    infer("red", sequence_id=7, sequence_start=True)

    again = infer("green", sequence_id=7, sequence_start=True).get_json()

    assert again["parameters"]["sequence_restarted"] is True
    assert again["parameters"]["step"] == 1
    assert again["outputs"][0]["data"] == [0.0, 1.0, 0.0]


def test_start_of_a_gone_sequence_is_no_restart(infer):
    infer("red", sequence_id=7, sequence_start=True, sequence_end=True)

    again = infer("red", sequence_id=7, sequence_start=True).get_json()

    assert "sequence_restarted" not in again["parameters"]


def test_failed_request_leaves_the_sequence_as_it_was(infer):
    infer("red", sequence_id=7, sequence_start=True)

    assert_problem(infer("poison", sequence_id=7), 500, "non_finite")

    assert infer("red", sequence_id=7).get_json()["parameters"]["step"] == 2


def test_step_elsewhere_is_a_conflict(infer):
    infer("red", sequence_id=7, sequence_start=True)

    assert_problem(infer("red", sequence_id=7, at=5), 409, "step_conflict")
    assert infer("red", sequence_id=7, at=1).status_code == 200


def test_repeat_under_a_key_gets_the_stored_answer(infer):
    infer("red", sequence_id=7, sequence_start=True)
    options = {"sequence_id": 7, "idempotency_key": "k-1"}
    first = infer("green", **options)

    again = infer("green", **options)

    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert infer("red", sequence_id=7).get_json()["parameters"]["step"] == 3


def test_repeat_may_have_another_form_and_id(client, infer):
    options = {"sequence_id": 7, "sequence_start": True}
    first = infer("red", "green", id="a", idempotency_key="k-1", **options)
    data, headers = binary_body("red", "green", binary_data_output=True, **options)

    headers |= {"Idempotency-Key": '"k-1"'}
    again = client.post(INFER, data=data, headers=headers)

    assert again.headers["Idempotency-Replayed"] == "true"
    expected = outputs_of(first)["probabilities"]
    assert outputs_of(again)["probabilities"].tobytes() == expected.tobytes()


def test_restart_is_answered_again_to_its_repeat(infer):
    infer("red", sequence_id=7, sequence_start=True)
    options = {"sequence_id": 7, "sequence_start": True, "idempotency_key": "k-1"}

    first = infer("green", **options)
    again = infer("green", **options)

    assert first.get_json()["parameters"]["sequence_restarted"] is True
    assert again.data == first.data


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["red"], {}),
        (["green"], {"sequence_end": True}),
        (["green"], {"return": "all"}),
        (["green"], {"outputs": [{"name": "decided"}]}),
    ],
)
def test_another_request_under_a_key_is_refused(infer, names, options):
    infer("red", sequence_id=7, sequence_start=True)
    key = {"sequence_id": 7, "idempotency_key": "k-1"}
    infer("green", **key)

    response = infer(*names, **key, **options)

    assert_problem(response, 422, "idempotency_mismatch")


def test_repeat_at_the_same_step_gets_the_stored_answer(infer):
    infer("red", sequence_id=7, sequence_start=True, at=0)
    first = infer("green", sequence_id=7, at=1)

    assert infer("green", sequence_id=7, at=1).data == first.data


def test_ttl_is_the_sequences_idle_time(infer, clock):
    infer("red", sequence_id=7, sequence_start=True, ttl_seconds=5)
    clock.advance(5)

    assert_problem(infer("red", sequence_id=7), 400, "sequence_not_started")


def test_client_may_hold_the_memory(infer):
    first = infer("red", memory="").get_json()["parameters"]

    second = infer("green", memory=first["memory"]).get_json()

    assert second["parameters"]["step"] == 2
    assert second["outputs"][0]["data"] == [0.5, 0.5, 0.0]


def test_sequence_of_several_rows_is_refused(client):
    two = events("red", "red") | {"shape": [2, 1]}
    parameters = {"sequence_id": 1, "sequence_start": True}

    response = client.post(INFER, json={"inputs": [two], "parameters": parameters})

    assert "one row" in assert_problem(response, 400, "invalid_request")["detail"]


def test_pinned_sequence_is_answered_by_the_version_it_began_with(engine, services):
    old, new = counting_model(), counting_model(version=2, network="cd" * 32)
    catalog = Catalog([old])
    client = serve(catalog, settings=services.settings, sessions=engine.sessions)
    start = body("red", sequence_id=7, sequence_start=True)
    client.post(INFER, json=start)
    catalog.replace("counting", [old, new])

    pinned = client.post(INFER, json=body("red", sequence_id=7)).get_json()
    begun = client.post(INFER, json=start).get_json()

    assert (pinned["model_version"], pinned["parameters"]["step"]) == ("1", 2)
    assert (begun["model_version"], begun["parameters"]["step"]) == ("2", 1)
    assert begun["parameters"]["sequence_restarted"] is True
