"""`inputs`: TensorFlow Serving's columns, and OpenVINO Model Server's sequences."""

import msgspec
import pytest

from service.api.v1.columns import read_columns
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body


@pytest.fixture
def columns(client):
    """POST `inputs` to the counting model."""

    def send(inputs, **body):
        return client.post(
            "/v1/models/counting:predict", json={"inputs": inputs, **body}
        )

    return send


def test_the_only_input_may_come_without_its_name(columns):
    named = columns({"sequence": [["red"], ["red", "green"]]}).get_json()

    bare = columns([["red"], ["red", "green"]]).get_json()

    assert bare == named
    assert bare == {
        "outputs": [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]],
        "labels": ["red", "green", "poison"],
        "model_version": "1",
    }


def test_columns_answer_what_rows_do(columns, predict):
    sequences = [["red"], ["green", "red"], ["green"] * 7]

    by_row = predict(*sequences).get_json()["predictions"]

    assert columns(sequences).get_json()["outputs"] == by_row


def test_sequence_of_openvino_model_server_is_a_session(columns, client):
    first = columns(
        {"sequence": [["red"]], "sequence_id": [42], "sequence_control_input": [1]}
    ).get_json()["outputs"]
    second = columns({"sequence": [["green"]], "sequence_id": [42]}).get_json()
    last = columns(
        {"sequence": [["green"]], "sequence_id": [42], "sequence_control_input": [2]}
    ).get_json()["outputs"]

    assert (first["sequence_id"], first["step"]) == ([42], [1])
    assert second["outputs"]["probabilities"] == [[0.5, 0.5, 0.0]]
    assert (last["step"], last["ended"]) == ([3], [True])
    gone = client.get("/v1/models/counting/sessions/42")
    assert assert_problem(gone, 410, "session_gone")["reason"] == "ended"


def test_sequence_begun_twice_is_a_conflict(columns):
    begin = {"sequence": [["red"]], "sequence_id": [7], "sequence_control_input": [1]}
    columns(begin)

    body = assert_problem(columns(begin), 409, "session_live")
    assert body["error"] == "Sequence with provided ID already exists"


def test_sequence_that_ended_does_not_exist(columns):
    sequence = {"sequence": [["red"]], "sequence_id": [7]}
    columns({**sequence, "sequence_control_input": [2]})

    body = assert_problem(columns(sequence), 410, "session_gone")
    assert body["error"] == "Sequence with provided ID does not exist"


def test_sequence_that_starts_without_an_id_is_given_one(columns):
    begun = columns({"sequence": [["red"]], "sequence_control_input": [1]}).get_json()
    (chosen,) = begun["outputs"]["sequence_id"]

    after = columns({"sequence": [["red"]], "sequence_id": [chosen]}).get_json()

    assert 0 < chosen < 2**53
    assert after["outputs"]["step"] == [2]


@pytest.mark.parametrize("sequence_id", [42, "42", [42], ["42"]])
def test_rows_take_sequences_too(predict, sequence_id):
    predict({"sequence": ["red"], "session": "42"})

    answer = predict({"sequence": ["green"], "sequence_id": sequence_id}).get_json()

    (row,) = answer["predictions"]
    assert (row["step"], row["session"]) == (2, "42")
    assert str(row["sequence_id"]) == "42"


def test_options_of_rows_are_columns(columns):
    inputs = {"sequence": [["red"], ["green"]], "session": ["a", "b"], "ttl_seconds": 5}
    columns(inputs)

    answer = columns({**inputs, "at": [1, None]}).get_json()["outputs"]

    assert answer["session"] == ["a", "b"]
    assert answer["step"] == [2, 2]
    assert answer["expires_at"] == ["2023-11-14T22:13:25.000Z"] * 2


def test_memory_can_be_a_column(columns):
    begun = columns({"sequence": [["red"], ["green"]], "memory": None}).get_json()

    memory = begun["outputs"]["memory"]
    answer = columns({"sequence": [["red"], ["red"]], "memory": memory}).get_json()

    assert answer["outputs"]["probabilities"] == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]


def test_row_that_conflicts_is_null_in_its_columns(columns):
    inputs = {"sequence": [["red"], ["red"]], "session": ["a", "b"]}
    columns(inputs)

    answer = columns({**inputs, "at": [1, 5]}).get_json()["outputs"]

    assert answer["step"] == [2, None]
    assert answer["error"][0] is None
    assert_problem_body(answer["error"][1], 409, "step_conflict")


def test_bad_event_refuses_the_whole_tensor(columns, client):
    inputs = {"sequence": [["red"], ["blue"]], "session": ["a", "b"]}

    body = assert_problem(columns(inputs), 400, "unknown_event")

    assert body["detail"].startswith("inputs[1]: sequence[0] is 'blue'")
    response = client.get("/v1/models/counting/sessions/a")
    assert_problem(response, 404, "session_not_found")


def test_keys_of_no_meaning_here_are_ignored_as_tensorflow_serving_does(columns):
    assert columns({"sequence": [["red"]], "keep_prob": 1.0}).status_code == 200


def test_several_timesteps_are_columns_too(columns):
    answer = columns([["red", "green"]], **{"return": "all"}).get_json()

    assert answer["outputs"] == [[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]]


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ([], "empty_sequence", "inputs is empty"),
        ({"sequence": []}, "empty_sequence", "inputs is empty"),
        ({}, "invalid_request", "takes sequence"),
        ({"x": [["red"]]}, "invalid_request", "takes sequence"),
        ({"sequence": "red"}, "invalid_request", "a list over the rows"),
        (["red", 5], "invalid_event", "inputs[1]: sequence[0] is 5"),
        ([{"a": 1}], "invalid_event", "inputs[0]: sequence[0]"),
        ([None], "invalid_event", "inputs[0]: sequence[0] is null"),
        ({"b64": "cmVk"}, "invalid_request", "takes sequence"),
        ([["red"]] * 21, "too_many_rows", "inputs has 21 rows"),
        ({"sequence": [["red"]], "at": [1, 2]}, "invalid_request", "inputs.at has 2"),
        ({"sequence": [["red"]], "at": -1}, "invalid_request", "inputs[0].at"),
        ({"sequence": [[None]]}, "invalid_event", "inputs[0]: sequence[0] is null"),
        (
            {"sequence": [["red"]], "sequence_id": [[1, 2]]},
            "invalid_request",
            "sequence_id has 2 values",
        ),
        (
            {"sequence": [["red"]], "sequence_id": 1, "session": "a"},
            "invalid_request",
            "both session and sequence_id",
        ),
        (
            {"sequence": [["red"]], "sequence_id": 1, "sequence_control_input": 9},
            "invalid_request",
            "expected 0, 1 or 2",
        ),
        (
            {"sequence": [["red"]], "sequence_control_input": 2},
            "invalid_request",
            "no sequence_id",
        ),
    ],
)
def test_bad_columns_are_refused_with_a_fix(columns, inputs, code, words):
    assert words in assert_problem(columns(inputs), 400, code)["detail"]


def test_column_of_one_dimension_has_one_event_a_row(columns):
    flat = columns({"sequence": ["red", {"b64": "Z3JlZW4="}, "red"]}).get_json()

    assert flat == columns({"sequence": [["red"], ["green"], ["red"]]}).get_json()
    assert flat == columns(["red", "green", "red"]).get_json()


def test_column_of_one_dimension_advances_a_sequence(columns):
    begun = {"sequence": ["red"], "sequence_id": [42], "sequence_control_input": [1]}
    columns(begun)

    after = columns({"sequence": ["green"], "sequence_id": [42]}).get_json()["outputs"]

    assert (after["step"], after["probabilities"]) == ([2], [[0.5, 0.5, 0.0]])


def test_several_events_for_one_sequence_id_are_not_guessed_at(columns):
    sent = columns({"sequence": ["red", "green"], "sequence_id": [42]})

    assert "there are 2 rows" in assert_problem(sent, 400, "invalid_request")["detail"]


def manifest_of(schema):
    return msgspec.structs.replace(counting_model().manifest, input=schema)


VECTORS = {"kind": "vector", "size": 2}
NUMBERS = {"kind": "vector", "size": 1}
RECORD = {
    "kind": "record",
    "fields": [
        {"name": "value", "type": "number"},
        {"name": "place", "type": "vector", "size": 2},
    ],
}
ONE = {"value": 1.5, "place": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("schema", "flat", "full"),
    [
        (VECTORS, [[0.1, 0.2], [0.3, 0.4]], [[[0.1, 0.2]], [[0.3, 0.4]]]),
        (VECTORS, [[[0.1, 0.2]]], [[[0.1, 0.2]]]),
        (NUMBERS, [0.1, 0.2], [[0.1], [0.2]]),
        (NUMBERS, [[0.1, 0.2]], [[0.1, 0.2]]),
        ({"kind": "index", "size": 9}, [3, 4], [[3], [4]]),
        (RECORD, {"value": [1.5], "place": [[0.1, 0.2]]}, [[ONE]]),
        (RECORD, {"value": [[1.5]], "place": [[[0.1, 0.2]]]}, [[ONE]]),
    ],
    ids=[
        "vectors",
        "vectors over time",
        "numbers",
        "numbers over time",
        "indices",
        "fields",
        "fields over time",
    ],
)
def test_dimension_of_time_may_be_left_out_of_every_kind_of_input(schema, flat, full):
    assert read_columns(flat, manifest_of(schema), max_rows=9) == full


def test_record_may_stand_alone_in_a_column():
    (row,) = read_columns({"sequence": [ONE]}, manifest_of(RECORD), max_rows=9)

    assert row == [ONE]
