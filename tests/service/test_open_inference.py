"""What `/v2` promises and refuses, over Flask's own client and a counting network."""

import gzip
import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from service.api.v2.tensors import write_texts
from service.app import create_app
from service.registry.catalog import Catalog
from tests.assembly import serve
from tests.fakes import counting_model
from tests.problems import assert_problem

INFER = "/v2/models/counting/infer"
LENGTH = "Inference-Header-Content-Length"
NEVER_STARTED = (
    "inference request for sequence {} to model 'counting' must specify the START flag "
    "on the first request of the sequence"
)


def events(*names, **more):
    return {
        "name": "sequence",
        "shape": [1, len(names)],
        "datatype": "BYTES",
        "data": list(names),
        **more,
    }


def body(*names, outputs=None, id=None, **parameters):
    built = {"inputs": [events(*names)], "parameters": parameters}
    if outputs is not None:
        built["outputs"] = outputs
    if id is not None:
        built["id"] = id
    return built


def binary_body(*names, **parameters):
    """Build the body and headers of a request with its tensor in binary."""
    data = write_texts(names)
    entry = events(*names, parameters={"binary_data_size": len(data)})
    del entry["data"]
    head = json.dumps({"inputs": [entry], "parameters": parameters}).encode()
    return head + data, {LENGTH: str(len(head))}


@pytest.fixture
def infer(client):
    """POST an infer request to the counting model."""

    def send(*names, **options):
        return client.post(INFER, json=body(*names, **options))

    return send


def outputs_of(response):
    """Read the outputs of an answer by name, whichever form they have."""
    length = response.headers.get(LENGTH)
    head = response.data if length is None else response.data[: int(length)]
    tail = b"" if length is None else response.data[int(length) :]
    values = {}
    for output in json.loads(head)["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        dtype = {"FP32": "<f4", "BOOL": "?"}.get(output["datatype"], object)
        if size is None:
            array = np.array(output["data"], dtype)
        else:
            array = np.frombuffer(tail[:size], dtype)
            tail = tail[size:]
        values[output["name"]] = array.reshape(output["shape"])
    assert not tail
    return values


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


def test_several_rows_of_different_lengths(client):
    inputs = [
        {
            "name": "sequence",
            "shape": [2, 2],
            "datatype": "BYTES",
            "data": [["red", "green"], ["green", ""]],
        },
        {"name": "length", "shape": [2], "datatype": "INT32", "data": [2, 1]},
    ]

    response = client.post(INFER, json={"inputs": inputs})

    assert outputs_of(response)["probabilities"].tolist() == [[0.5, 0.5, 0], [0, 1, 0]]


def test_outputs_after_every_event_are_padded_with_zeros(client):
    inputs = [
        {
            "name": "sequence",
            "shape": [2, 2],
            "datatype": "INT32",
            "data": [0, 1, 1, 0],
        },
        {"name": "length", "shape": [2], "datatype": "INT32", "data": [2, 1]},
    ]

    request = {"inputs": inputs, "parameters": {"return": "all"}}
    response = client.post(INFER, json=request)

    assert outputs_of(response)["probabilities"].tolist() == [
        [[1, 0, 0], [0.5, 0.5, 0]],
        [[0, 1, 0], [0, 0, 0]],
    ]
    assert outputs_of(response)["decided"].shape == (2, 2, 3)


def test_binary_request_and_answer_equal_json(client, infer):
    data, headers = binary_body("red", "green", "red", binary_data_output=True)

    response = client.post(INFER, data=data, headers=headers)

    assert response.content_type == "application/octet-stream"
    expected = outputs_of(infer("red", "green", "red"))
    got = outputs_of(response)
    assert got.keys() == expected.keys()
    for name in got:
        assert got[name].tobytes() == expected[name].tobytes()


def test_outputs_are_chosen_each_in_its_form(infer):
    outputs = [
        {"name": "decided", "parameters": {"binary_data": True}},
        {"name": "probabilities"},
    ]

    response = infer("red", outputs=outputs)

    got = outputs_of(response)
    assert list(got) == ["decided", "probabilities"]
    assert got["decided"].tolist() == [[True, False, False]]
    assert b'"data":[1.0,0.0,0.0]' in response.data


@pytest.mark.parametrize("is_binary", [True, False])
def test_classification_names_the_largest(infer, is_binary):
    parameters = {"classification": 2, "binary_data": is_binary}
    outputs = [{"name": "probabilities", "parameters": parameters}]

    response = infer("red", "green", "red", "red", outputs=outputs)

    expected = ["0.750000:0:red", "0.250000:1:green"]
    if is_binary:
        assert response.data.endswith(write_texts(expected))
    else:
        output = response.get_json()["outputs"][0]
        assert output["data"] == expected
        assert (output["datatype"], output["shape"]) == ("BYTES", [1, 2])


@pytest.mark.parametrize("data", [b"red", write_texts(["red"])])
def test_raw_body_is_the_one_input(client, data):
    response = client.post(INFER, data=data, headers={LENGTH: "0"})

    assert response.content_type == "application/octet-stream"
    assert outputs_of(response)["probabilities"].tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("coding", "compress", "decompress"),
    [
        ("gzip", gzip.compress, gzip.decompress),
        ("deflate", zlib.compress, zlib.decompress),
    ],
)
def test_bodies_are_compressed_both_ways(client, coding, compress, decompress):
    data, headers = binary_body("red", binary_data_output=True)
    codings = {"Content-Encoding": coding, "Accept-Encoding": coding}

    response = client.post(INFER, data=compress(data), headers={**headers, **codings})

    assert response.headers["Content-Encoding"] == coding
    assert decompress(response.data).startswith(b'{"model_name":"counting"')
    length = int(response.headers[LENGTH])
    tail = decompress(response.data)[length:]
    assert struct.unpack("<3f3?", tail)[:3] == (1, 0, 0)


def test_bomb_is_refused(client):
    bomb = gzip.compress(b" " * 10_000_000)

    response = client.post(INFER, data=bomb, headers={"Content-Encoding": "gzip"})

    assert_problem(response, 413, "body_too_large")


def test_unknown_coding_is_refused(client):
    response = client.post(INFER, data=b"x", headers={"Content-Encoding": "br"})

    assert_problem(response, 501, "not_served")


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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data, head: (data, "x"), "expected how many bytes"),
        (lambda data, head: (data, "9" * 20), "expected how many bytes"),
        (lambda data, head: (data, str(len(data) + 1)), "the body has"),
        (lambda data, head: (data, str(int(head) - 1)), "not JSON"),
        (lambda data, head: (data + b"x", head), "left over"),
        (lambda data, head: (data[:-1], head), "bytes are left after the JSON"),
        (lambda data, head: (data[:-3] + b"\xff\xff\xff", head), "not UTF-8"),
    ],
)
def test_bad_binary_body_is_refused(client, change, words):
    data, headers = binary_body("red")
    data, length = change(data, headers[LENGTH])

    response = client.post(INFER, data=data, headers={LENGTH: length})

    assert response.status_code == 400
    assert words in response.get_json()["detail"]


def test_input_given_twice_is_refused(client):
    response = client.post(INFER, json={"inputs": [events("red"), events("red")]})

    assert "twice" in assert_problem(response, 400, "invalid_request")["detail"]


def test_sequence_of_several_rows_is_refused(client):
    two = events("red", "red") | {"shape": [2, 1]}
    parameters = {"sequence_id": 1, "sequence_start": True}

    response = client.post(INFER, json={"inputs": [two], "parameters": parameters})

    assert "one row" in assert_problem(response, 400, "invalid_request")["detail"]


def test_one_bad_row_refuses_the_request(client):
    two = events("red", "poison") | {"shape": [2, 1]}

    assert_problem(client.post(INFER, json={"inputs": [two]}), 500, "non_finite")


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
