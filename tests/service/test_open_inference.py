"""Promises and refusals of `/v2`, over Flask's own client and a counting network."""

from dataclasses import replace

import pytest

from service.app import create_app
from tests.problems import assert_problem
from tests.service.v2_bodies import INFER, binary_body, body


def test_infer_answers_flat_data_in_open_inference_form(infer):
    response = infer("red", "green", id="r1")

    assert response.get_json() == {
        "model_name": "counting",
        "model_version": "1",
        "id": "r1",
        "parameters": {"model_version": "1", "step": 2},
        "outputs": [
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [1, 3],
                "data": [0.5, 0.5, 0.0],
            },
            {
                "name": "decided",
                "datatype": "BOOL",
                "shape": [1, 3],
                "data": [False, False, False],
            },
        ],
    }


def test_no_content_type_is_needed(client):
    data, headers = binary_body("red")

    assert client.post(INFER, data=data, headers=headers).status_code == 200


def test_what_the_client_calls_its_own_is_ignored(infer):
    parameters = {"priority": 3, "timeout": 1000, "customer": "x"}

    assert infer("red", **parameters).status_code == 200


@pytest.mark.parametrize(
    ("options", "status", "code", "words"),
    [
        ({"sequence_id": -1}, 400, "invalid_request", "sequence_id"),
        ({"sequence_id": 2**64}, 400, "invalid_request", "sequence_id"),
        ({"sequence_id": 1.5}, 400, "invalid_request", "a whole number or text"),
        ({"sequence_id": True}, 400, "invalid_request", "sequence_id"),
        ({"sequence_id": "x" * 201}, 400, "invalid_request", "201 bytes"),
        ({"sequence_id": "a\x00"}, 400, "invalid_request", "control characters"),
        ({"sequence_start": True}, 400, "invalid_request", "no sequence_id"),
        ({"sequence_id": 1, "sequence_start": 1}, 400, "invalid_request", "boolean"),
        ({"sequence_id": 1, "memory": ""}, 400, "invalid_request", "both"),
        ({"at": 0}, 400, "invalid_request", "belong to a memory"),
        ({"sequence_id": 1, "at": -1}, 400, "invalid_request", "'at'"),
        ({"sequence_id": 1, "ttl_seconds": 0}, 400, "invalid_request", "ttl_seconds"),
        ({"sequence_id": 1, "ttl_seconds": 1e9}, 400, "invalid_request", "ttl"),
        ({"idempotency_key": ""}, 400, "invalid_request", "Idempotency-Key"),
        ({"idempotency_key": 5}, 400, "invalid_request", "expected text"),
        ({"memory": "not a token"}, 400, "token_invalid", "token"),
        ({"sequnce_id": 1}, 400, "unknown_field", "Did you mean 'sequence_id'?"),
        ({"triton_x": 1}, 400, "invalid_request", "reserved"),
        ({"return": "some"}, 400, "invalid_request", "last"),
        ({"binary_data_output": 1}, 400, "invalid_request", "boolean"),
        ({"outputs": [{"name": "x"}]}, 400, "invalid_request", "'x' is not one of"),
        (
            {
                "outputs": [
                    {"name": "probabilities", "parameters": {"classification": -1}}
                ]
            },
            400,
            "invalid_request",
            "classification",
        ),
        (
            {
                "outputs": [
                    {
                        "name": "probabilities",
                        "parameters": {"shared_memory_region": "r"},
                    }
                ]
            },
            400,
            "invalid_request",
            "shared memory",
        ),
    ],
)
def test_bad_parameters_are_refused(infer, options, status, code, words):
    problem = assert_problem(infer("red", **options), status, code)

    assert words in problem["detail"]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "invalid_json", "empty"),
        (b"{", "invalid_json", "not JSON"),
        (b"\xff", "invalid_json", "not JSON"),
        (b"[]", "invalid_request", "right form"),
        (b"{}", "invalid_request", "inputs"),
        (b'{"inputs": []}', "invalid_request", "lacks sequence"),
        (b'{"inputs": [{}]}', "invalid_request", "name"),
        (
            b'{"inputs": [{"name": "x", "shape": [-1], "datatype": "FP32"}]}',
            "invalid_request",
            "shape",
        ),
        (
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}',
            "invalid_request",
            "neither data nor",
        ),
        (
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", '
            b'"data": [NaN]}]}',
            "non_finite_input",
            "NaN",
        ),
        (
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": '
            + b"[" * 5000
            + b"]" * 5000
            + b"}]}",
            "invalid_json",
            "",
        ),
        (b'{"inputs": [], "id": 5}', "invalid_request", "id"),
        (b'{"inputs": []} x', "invalid_json", "not JSON"),
    ],
)
def test_bad_body_is_refused_with_its_code_and_a_fix(client, data, code, words):
    problem = assert_problem(client.post(INFER, data=data), 400, code)

    assert words in problem["detail"]


def test_unknown_model_and_version_are_not_found(client):
    request = body("red")

    unknown = client.post("/v2/models/nope/infer", json=request)
    other = client.post("/v2/models/counting/versions/9/infer", json=request)

    assert_problem(unknown, 404, "model_not_found")
    assert_problem(other, 404, "version_not_found")
    assert client.get("/v2/models/nope/ready").status_code == 404
    assert client.get("/v2/models/counting/ready").status_code == 200
    assert client.get("/v2/models/counting/versions/1/ready").status_code == 200


def test_server_lists_the_extensions_it_speaks(client):
    metadata = client.get("/v2").get_json()

    assert metadata["name"] == "carryover"
    assert {"sequence", "sequence(string_id)"} <= set(metadata["extensions"])


def test_metadata_and_configuration_describe_the_tensors(client, services):
    metadata = client.get("/v2/models/counting").get_json()
    config = client.get("/v2/models/counting/config").get_json()

    assert metadata["inputs"] == [
        {"name": "sequence", "datatype": "BYTES", "shape": [-1, -1]}
    ]
    assert metadata["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "decided", "datatype": "BOOL", "shape": [-1, 3]},
    ]
    assert config["input"] == [
        {"name": "sequence", "data_type": "TYPE_STRING", "dims": [-1]}
    ]
    assert config["max_batch_size"] == 20
    idle = config["sequence_batching"]["max_sequence_idle_microseconds"]
    assert idle == services.settings.session_idle_seconds * 1e6


def test_configuration_has_the_models_own_idle_time(services):
    settings = replace(services.settings, model_idle_seconds={"counting": 7.0})
    client = create_app(replace(services, settings=settings)).test_client()

    config = client.get("/v2/models/counting/config").get_json()

    idle = config["sequence_batching"]["max_sequence_idle_microseconds"]
    assert idle == 7_000_000


def test_statistics_count_what_was_answered_and_refused(client, infer):
    infer("red")
    infer("blue")

    (counted,) = client.get("/v2/models/counting/stats").get_json()["model_stats"]

    stats = counted["inference_stats"]
    assert stats["success"]["count"] == stats["fail"]["count"] == 1
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert stats["success"]["ns"] == sum(stats[part]["ns"] for part in parts) > 0
    assert counted["inference_count"] == counted["execution_count"] == 1
    assert [batch["batch_size"] for batch in counted["batch_stats"]] == [1]
    assert client.get("/v2/models/stats").get_json()["model_stats"] == [counted]


@pytest.mark.parametrize("path", ["/v2/trace/setting", "/v2/logging"])
def test_settings_of_triton_are_not_served(client, path):
    assert_problem(client.get(path), 501, "not_served")
    assert_problem(client.post(path, json={}), 501, "not_served")
