"""Promises and refusals of `:predict` and `:explain`, over Flask's own client."""

import numpy as np
import pytest

from tests.problems import assert_problem, assert_problem_body

HUGE = 10**400


def row(**fields):
    return {"sequence": ["red"], **fields}


def test_bare_rows_answer_bare_values_as_tensorflow_serving_does(predict):
    response = predict(["red"], ["red", "green"])

    assert response.get_json() == {
        "predictions": [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]],
        "labels": ["red", "green", "poison"],
        "model_version": "1",
    }


def test_object_row_without_memory_answers_an_object(predict):
    answer = predict({"sequence": ["red", "green"]}).get_json()["predictions"][0]

    assert answer == {"probabilities": [0.5, 0.5, 0.0], "step": 2, "decided": []}


def test_session_rows_continue_where_the_session_was(predict):
    predict(row(session="s"))

    answer = predict({"sequence": ["green"], "session": "s"}).get_json()

    assert answer["predictions"][0] == {
        "probabilities": [0.5, 0.5, 0.0],
        "step": 2,
        "session": "s",
        "expires_at": "2023-11-14T22:15:00.000Z",
        "decided": [],
    }


def test_return_all_gives_every_timestep(predict):
    body = predict(["red", "green"], **{"return": "all"}).get_json()

    assert body["predictions"] == [[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]]


def test_top_names_the_most_probable_labels(predict):
    sequence = {"sequence": ["red", "green", "red", "red"]}

    answer = predict(sequence, top=2).get_json()["predictions"][0]

    assert answer["top"] == [
        {"label": "red", "probability": 0.75},
        {"label": "green", "probability": 0.25},
    ]


@pytest.mark.parametrize(
    ("threshold", "decided"), [(None, []), (0.75, ["red"]), (0.2, ["red", "green"])]
)
def test_labels_at_or_over_the_threshold_are_decided(predict, threshold, decided):
    options = {} if threshold is None else {"threshold": threshold}
    sequence = {"sequence": ["red", "green", "red", "red"]}

    answer = predict(sequence, **options).get_json()["predictions"][0]

    assert answer["decided"] == decided


def test_decisions_are_per_timestep_where_all_are_returned(predict):
    sequence = {"sequence": ["red", "green"]}

    answer = predict(sequence, top=1, **{"return": "all"}).get_json()

    assert answer["predictions"][0]["decided"] == [["red"], []]
    assert len(answer["predictions"][0]["top"]) == 2


def test_one_bad_row_spoils_no_other(predict):
    response = predict(["red"], ["blue"], row(session="s"), row(session="s"))

    assert response.status_code == 200
    good, bad, first, second = response.get_json()["predictions"]
    assert good == [1.0, 0.0, 0.0]
    assert_problem_body(bad, 400, "unknown_event")
    assert (first["step"], second["step"]) == (1, 2)


def test_status_is_an_error_when_every_row_failed(predict):
    body = assert_problem(predict(["blue"], []), 400, "unknown_event")

    assert [problem["code"] for problem in body["rows"]] == [
        "unknown_event",
        "empty_sequence",
    ]


@pytest.mark.parametrize(
    ("instance", "code", "words"),
    [
        (["blue"], "unknown_event", "sequence[0] is 'blue'"),
        (["gren"], "unknown_event", "Did you mean 'green'?"),
        ([7], "invalid_event", "sequence[0] is 7"),
        ([["red"]], "invalid_event", "sequence[0] is a list of 1"),
        ([None], "invalid_event", "sequence[0] is null"),
        ([], "empty_sequence", "send at least one event"),
        ({"sequence": []}, "empty_sequence", "send at least one event"),
        (["red"] * 51, "sequence_too_long", "at most 50"),
        ({}, "invalid_request", "missing required field 'sequence'"),
        ({"sequence": "red"}, "invalid_request", "instances[0].sequence"),
        ({"sequence": ["red"], "sesion": "x"}, "unknown_field", "mean 'session'?"),
        (row(session=5), "invalid_request", "instances[0].session"),
        (row(session=""), "invalid_request", "session"),
        (row(session="x" * 201), "invalid_request", "session"),
        (row(session="é" * 150), "invalid_request", "300 bytes"),
        (row(session="a\x00b"), "invalid_request", "control characters"),
        (row(session="s", memory=None), "invalid_request", "both session and memory"),
        (row(start=True), "invalid_request", "start and end belong to a session"),
        (row(memory=None, end=True), "invalid_request", "belong to a session"),
        (row(at=3), "invalid_request", "belong to a memory"),
        (row(session="s", at=-1), "invalid_request", "at"),
        (row(session="s", at=HUGE), "invalid_request", "at"),
        (row(session="s", at=1.5), "invalid_request", "at"),
        (row(session="s", ttl_seconds=0), "invalid_request", "ttl_seconds"),
        (row(session="s", ttl_seconds=1e9), "invalid_request", "ttl_seconds"),
        (row(memory="not a token"), "token_invalid", "memory"),
        (row(memory=7), "invalid_request", "memory"),
        (5, "invalid_request", "instances[0]"),
        (None, "invalid_request", "instances[0]"),
        ("red", "invalid_request", 'this is "red"; a row is a list of events'),
    ],
)
def test_bad_row_is_refused_with_its_code_and_a_fix(predict, instance, code, words):
    body = assert_problem(predict(instance), 400, code)

    assert words in body["detail"]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "invalid_json", "not JSON (it is empty)"),
        (b"{", "invalid_json", "not JSON"),
        (b"\xff\xfe", "invalid_json", "not JSON"),
        (b'{"instances": [["\xff"]]}', "invalid_json", "not JSON"),
        (b"[1]", "invalid_request", "Expected 'object'"),
        (b"{}", "invalid_request", "neither instances nor inputs"),
        (b'{"instances": []}', "empty_sequence", "at least one row"),
        (b'{"instances": {}}', "invalid_request", "the body.instances"),
        (b'{"instances": [["red"]], "tpo": 1}', "unknown_field", "'tpo'"),
        (b'{"instances": [["red"]], "top": 0}', "invalid_request", "the body.top"),
        (b'{"instances": [["red"]], "threshold": 2}', "invalid_request", "threshold"),
        (b'{"instances": [["red"]], "return": "some"}', "invalid_request", '"all"'),
        (b'{"instances": [[NaN]]}', "non_finite_input", "NaN"),
        (b'{"instances": [[-Infinity]]}', "non_finite_input", "-Infinity"),
        (b'{"instances": [' + b'["red"],' * 20 + b'["red"]]}', "too_many_rows", "20"),
        (
            b'{"instances": [["red"]], "signature_name": "other"}',
            "invalid_request",
            'Serving signature name: "other" not found in signature def',
        ),
        (b'{"instances": [' + b"[" * 5000 + b"]" * 5000 + b"]}", "invalid_json", ""),
    ],
)
def test_bad_body_is_refused_with_its_code_and_a_fix(client, data, code, words):
    response = client.post("/v1/models/counting:predict", data=data)

    assert words in assert_problem(response, 400, code)["detail"]


def test_too_long_body_is_refused(client):
    response = client.post("/v1/models/counting:predict", data=b"x" * 20001)

    assert assert_problem(response, 413, "body_too_large")["max_body_bytes"] == 20000


def test_unknown_model_is_refused_with_those_that_are_served(client):
    response = client.post("/v1/models/nope:predict", json={"instances": [["red"]]})

    assert "counting" in assert_problem(response, 404, "model_not_found")["detail"]


def test_unknown_version_is_refused_with_those_that_are_served(client):
    path = "/v1/models/counting/versions/7:predict"

    response = client.post(path, json={"instances": [["red"]]})

    assert "version 1" in assert_problem(response, 404, "version_not_found")["detail"]


def test_named_version_is_served(client):
    path = "/v1/models/counting/versions/1:predict"

    assert client.post(path, json={"instances": [["red"]]}).status_code == 200


def test_non_finite_step_is_refused_and_the_memory_stays(predict, client):
    predict(row(session="s"))

    assert_problem(predict({"sequence": ["poison"], "session": "s"}), 500, "non_finite")

    after = client.get("/v1/models/counting/sessions/s").get_json()
    assert after["step"] == 1
    answer = predict({"sequence": ["green"], "session": "s"}).get_json()
    assert answer["predictions"][0]["probabilities"] == [0.5, 0.5, 0.0]


def test_at_elsewhere_than_the_session_is_a_conflict(predict):
    predict(row(session="s"))

    body = assert_problem(predict(row(session="s", at=0)), 409, "step_conflict")

    assert (body["step"], body["expected"]) == (1, 0)


def test_at_the_right_step_is_accepted(predict):
    predict(row(session="s", at=0))

    assert predict(row(session="s", at=1)).status_code == 200


def test_expired_session_is_gone_and_says_where_it_was(predict, clock):
    predict(row(session="s"))
    clock.advance(100)

    body = assert_problem(predict(row(session="s")), 410, "session_gone")

    assert (body["reason"], body["step"]) == ("expired", 1)
    assert body["at"] == "2023-11-14T22:15:00.000Z"


def test_gone_session_restarts_with_start(predict, clock):
    predict(row(session="s"))
    clock.advance(100)

    answer = predict(row(session="s", start=True)).get_json()

    assert answer["predictions"][0]["step"] == 1


def test_every_event_renews_the_idle_time(predict, clock):
    for _ in range(3):
        assert predict(row(session="s")).status_code == 200
        clock.advance(99)


def test_ttl_of_a_row_stays_with_its_session(predict, clock):
    predict(row(session="s", ttl_seconds=10))
    clock.advance(9)
    predict(row(session="s"))
    clock.advance(10)

    assert_problem(predict(row(session="s")), 410, "session_gone")


def test_start_on_a_live_session_is_a_conflict(predict):
    predict(row(session="s"))

    assert_problem(predict(row(session="s", start=True)), 409, "session_live")


def test_ended_session_answers_and_is_gone(predict):
    predict(row(session="s"))

    answer = predict(row(session="s", end=True)).get_json()["predictions"][0]

    assert (answer["step"], answer["ended"]) == (2, True)
    body = assert_problem(predict(row(session="s")), 410, "session_gone")
    assert (body["reason"], body["step"]) == ("ended", 2)


def test_sealed_memory_expires(predict, clock):
    memory = predict(row(memory=None)).get_json()["predictions"][0]["memory"]
    clock.advance(50)

    assert_problem(predict(row(memory=memory)), 410, "token_expired")


def test_sealed_memory_at_another_step_is_a_conflict(predict):
    memory = predict(row(memory=None)).get_json()["predictions"][0]["memory"]

    body = assert_problem(predict(row(memory=memory, at=2)), 409, "step_conflict")

    assert body["step"] == 1


def test_explain_shows_layers_and_advances_as_predict_does(predict):
    predict(row(session="s"))

    answer = predict(
        {"sequence": ["green", "red"], "session": "s"}, verb="explain"
    ).get_json()["predictions"][0]

    assert answer["step"] == 3
    assert answer["layers"] == [
        {"learn": [[1.0] * 3] * 2, "short_term": [[1.0] * 3] * 2}
    ]


def test_explain_sums_up_gates_and_parts_the_prediction(predict):
    events = ["green", "red", "red"]

    answer = predict({"sequence": events, "session": "s"}, verb="explain").get_json()

    (prediction,) = answer["predictions"]
    digest = prediction["digest"]
    assert digest["layers"] == [{"saturated": {"learn": 1.0}}]
    assert digest["event"] == pytest.approx([0.0] * 3, abs=1e-6)  # all alike alone
    odds = np.exp(np.add(digest["event"], digest["memory"]))
    assert odds / odds.sum() == pytest.approx(prediction["probabilities"], abs=1e-6)


def test_explaining_too_many_events_is_refused(predict):
    response = predict(["red"] * 6, ["red"] * 5, verb="explain")

    assert_problem(response, 400, "too_many_events")


def test_returning_too_many_events_is_refused(predict):
    rows = [["red"] * 50] * 19

    assert_problem(predict(*rows, **{"return": "all"}), 400, "too_many_events")
    assert predict(*rows[1:], **{"return": "all"}).status_code == 200
    assert predict(*rows).status_code == 200


def test_a_defect_is_a_problem_without_its_details(client, model):
    def crash(*_):
        raise KeyError("secret detail")

    model.runtime.run = crash

    response = client.post("/v1/models/counting:predict", json={"instances": [["red"]]})

    assert "secret" not in assert_problem(response, 500, "internal")["detail"]
