"""Differential: what TensorFlow Serving is on record to answer, and what we do.

Each row is a call of its REST interface with the status and body it documents; bodies
are compared in all that TensorFlow Serving has, since ours may say more.
"""

import json

import pytest

from tests.problems import assert_problem
from tests.service import serving_calls
from tests.service.serving_calls import PREDICT, STATUS

client = pytest.fixture(serving_calls.client)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (PREDICT, '{"instances": [["red"]]}', {"predictions": [[1.0, 0.0, 0.0]]}),
        (PREDICT, '{"inputs": [["red"]]}', {"outputs": [[1.0, 0.0, 0.0]]}),
        (
            PREDICT,
            '{"inputs": {"sequence": [["red"]]}}',
            {"outputs": [[1.0, 0.0, 0.0]]},
        ),
        (
            PREDICT,
            '{"signature_name": "serving_default", "instances": [["red"], ["green"]]}',
            {"predictions": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]},
        ),
        (
            PREDICT,
            '{"signature_name": "", "instances": [["red"]]}',
            {"predictions": [[1.0, 0.0, 0.0]]},
        ),
        (
            PREDICT,
            '{"instances": [[{"b64": "cmVk"}, "green"]]}',
            {"predictions": [[0.5, 0.5, 0.0]]},
        ),
        (
            PREDICT,
            '{"inputs": {"sequence": [["red", ""], ["red", "green"]], "other": 1}}',
            {"outputs": [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]},
        ),
        (
            "/v1/models/counting/versions/1:predict",
            '{"instances": [["red"]]}',
            {"model_version": "1"},
        ),
        (
            "/v1/models/counting/labels/canary:predict",
            '{"instances": [["red"]]}',
            {"model_version": "2"},
        ),
        (
            "/V1/Models/counting/Labels/stable:PREDICT",
            '{"instances": [["red"]]}',
            {"model_version": "1"},
        ),
    ],
)
def test_prediction_is_tensorflow_servings(client, path, body, answer):
    response = client.post(path, data=body)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.get_json() | answer == response.get_json()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/v1/models/m:predict", "{}", 404, "Latest(m)"),
        ("POST", "/v1/models/m/versions/3:predict", "{}", 404, "Specific(m, 3)"),
        ("POST", "/v1/models/counting/versions/3:predict", "{}", 404, "(counting, 3)"),
        ("GET", "/v1/models/m", "", 404, "Could not find any versions of model m"),
        (
            "GET",
            "/v1/models/counting/versions/7",
            "",
            404,
            "Could not find version 7 of model counting",
        ),
        (
            "GET",
            "/v1/models/m/metadata",
            "",
            404,
            "Could not find any versions of model m",
        ),
        ("POST", PREDICT, "{}", 400, "Missing 'inputs' or 'instances' key"),
        ("POST", PREDICT, "", 400, "JSON Parse error: The document is empty"),
        ("POST", PREDICT, "{", 400, "JSON Parse error: "),
        (
            "POST",
            PREDICT,
            '{"inputs": [], "instances": []}',
            400,
            "expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            "POST",
            PREDICT,
            '{"signature_name": "x", "instances": [["red"]]}',
            400,
            'Serving signature name: "x" not found in signature def',
        ),
        (
            "POST",
            PREDICT,
            '{"inputs": {"x": [["red"]]}}',
            400,
            "Missing named input: sequence in 'inputs' object.",
        ),
        ("POST", PREDICT, '{"instances": []}', 400, ""),
        ("POST", PREDICT, '{"instances": [["purple"]]}', 400, ""),
        ("POST", PREDICT, '{"signature_name": 100, "instances": [["red"]]}', 400, ""),
        (
            "POST",
            "/v1/models/counting/labels/nope:predict",
            "{}",
            400,
            "Unrecognized servable version label: nope",
        ),
        (
            "GET",
            "/v1/models/counting/labels/nope/metadata",
            "",
            400,
            "Unrecognized servable version label: nope",
        ),
        ("GET", "/v1/models/counting/labels/next", "", 404, "version"),
        ("GET", "/v1/models/nope/labels/stable", "", 404, "any versions of model nope"),
        (
            "POST",
            "/v1/models/counting:fly",
            "{}",
            400,
            "Malformed request: POST /v1/models/counting:fly",
        ),
        ("GET", "/v1/nothing", "", 400, "Malformed request: GET /v1/nothing"),
        (
            "POST",
            "/v1/models/counting/versions/x:predict",
            "{}",
            400,
            "Malformed request: POST /v1/models/counting/versions/x:predict",
        ),
        ("POST", "/v1/models/counting:classify", '{"examples": [{}]}', 501, "classify"),
        ("POST", "/v1/models/counting:Regress", '{"examples": [{}]}', 501, "regress"),
        (
            "POST",
            "/v1/models/counting/versions/1:classify",
            '{"examples": [{}]}',
            501,
            "classify",
        ),
    ],
)
def test_error_is_tensorflow_servings(client, method, path, body, status, text):
    response = client.open(path, method=method, data=body)

    error = response.get_json()
    assert_problem(response, status, error["code"])
    assert text in error["error"]


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        ("/v1/models/counting", ["2", "1"]),
        ("/v1/models/counting/versions/1", ["1"]),
        ("/v1/models/counting/labels/canary", ["2"]),
        ("/V1/MODELS/counting/LABELS/stable", ["1"]),
    ],
)
def test_status_is_tensorflow_servings_and_kserves(client, path, versions):
    assert client.get(path).get_json() == {
        "name": "counting",
        "ready": True,
        "model_version_status": [
            {"version": version, "state": "AVAILABLE", "status": STATUS}
            for version in versions
        ],
    }


@pytest.mark.parametrize("path", ["", "/versions/2", "/labels/canary"])
def test_metadata_is_tensorflow_servings_and_ours(client, path):
    metadata = client.get(f"/v1/models/counting{path}/metadata").get_json()

    unknown = {"size": "-1", "name": ""}
    kinds = {"size": "3", "name": ""}
    assert metadata["model_spec"] == {
        "name": "counting",
        "signature_name": "",
        "version": "2",
    }
    assert metadata["metadata"] == {
        "signature_def": {
            "signature_def": {
                "serving_default": {
                    "inputs": {
                        "sequence": {
                            "dtype": "DT_STRING",
                            "tensor_shape": {
                                "dim": [unknown, unknown],
                                "unknown_rank": False,
                            },
                            "name": "serving_default_sequence:0",
                        }
                    },
                    "outputs": {
                        "probabilities": {
                            "dtype": "DT_FLOAT",
                            "tensor_shape": {
                                "dim": [unknown, kinds],
                                "unknown_rank": False,
                            },
                            "name": "StatefulPartitionedCall:0",
                        }
                    },
                    "method_name": "tensorflow/serving/predict",
                    "defaults": {},
                }
            }
        }
    }
    assert metadata["task"] == "label"


def test_wrong_method_is_405_in_any_case(client):
    for path in (PREDICT, "/v1/models/counting:Predict"):
        response = client.get(path)

        error = assert_problem(response, 405, "method_not_allowed")["error"]
        assert error == f"Malformed request: GET {path}"
        assert "POST" in response.headers["Allow"]


@pytest.mark.tensorflow
def test_metadata_names_the_signature_that_was_exported(exported):
    """All of it but the graph's own names of its outputs, which no client uses."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow.python.tools.saved_model_utils import read_saved_model

    from service.api.v1.models import describe_signature
    from service.registry.artifact import read_artifact

    for name in ("label", "series", "next-lstm"):
        path = exported[0] / name / "1"
        signatures = read_saved_model(str(path)).meta_graphs[0].signature_def
        exact = MessageToDict(
            signatures["serving_default"],
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        described = describe_signature(read_artifact(path).manifest)
        for signature in (exact, described):
            for tensor in signature["outputs"].values():
                del tensor["name"]
        assert json.loads(json.dumps(described)) == exact
