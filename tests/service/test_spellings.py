"""Rows and events as TensorFlow Serving's clients spell them."""

import json

import numpy as np
import pytest

from service.api.v1.diagnose import refuse_non_finite
from service.api.v1.spelling import normalize_events
from service.errors import NonFiniteInput
from service.registry.artifact import Manifest
from service.registry.backends.base import Plan
from service.registry.catalog import Model
from service.registry.encoding.events import build_encoder
from tests.assembly import serve
from tests.problems import assert_problem, assert_problem_body

FIELDS = [
    {"name": "weather", "type": "category", "vocabulary": ["rain", "sun"]},
    {"name": "value", "type": "number", "mean": 0.0, "std": 1.0},
]


class SummingRuntime:
    """A network with the sum of the records' columns so far as memory."""

    name = "summing"

    def plan(self, signature, remaining):
        return Plan(len(remaining), min(remaining))

    def run(self, signature, tensors):
        sequence, total = tensors["sequence"], tensors["short_term_0"]
        sums = total[:, None] + np.cumsum(sequence, axis=1)
        last = tensors["length"] - 1
        return {
            "values": sums.astype("float32"),
            "short_term_0": sums[np.arange(len(last)), last].astype("float32"),
        }


@pytest.fixture
def records(services):
    """POST to a model of records with a category and a number."""
    manifest = Manifest(
        format=1,
        name="shop",
        version=3,
        task="values",
        cell="rnn",
        units=[2],
        input={"kind": "record", "fields": FIELDS},
        output={"kind": "values", "name": "values"},
        memory={"short_term_0": [2]},
        network="cd" * 32,
        files={},
    )
    encoder = build_encoder(manifest.input, max_events=50)
    model = Model(manifest, SummingRuntime(), encoder)
    client = serve([model], settings=services.settings, engine=services.engine)
    return lambda **body: client.post("/v1/models/shop:predict", json=body)


def test_row_keyed_by_the_inputs_answers_bare(records):
    row = {"weather": ["sun", "rain"], "value": [1, 2.5]}

    answer = records(instances=[row]).get_json()

    assert answer == {"predictions": [[1.0, 3.5]], "model_version": "3"}


def test_row_keyed_by_the_inputs_may_have_a_session(records):
    row = {"weather": ["sun"], "value": [1], "session": "s"}
    records(instances=[row])

    (answer,) = records(instances=[row]).get_json()["predictions"]

    assert (answer["values"], answer["step"]) == ([2.0, 2.0], 2)


def test_records_are_columns(records):
    inputs = {"weather": [["sun"], ["rain", "sun"]], "value": [[1], [2, 3]]}

    answer = records(inputs=inputs).get_json()

    assert answer == {"outputs": [[1.0, 1.0], [1.0, 5.0]], "model_version": "3"}


def test_records_may_be_one_column_of_records(records):
    sequence = [[{"weather": "sun", "value": 1}]]

    assert records(inputs={"sequence": sequence}).get_json()["outputs"] == [[1.0, 1.0]]


def test_numbers_that_are_none_refuse_their_row_only(records):
    rows = [{"weather": ["sun"], "value": [float(x)]} for x in ("nan", "1", "-inf")]

    first, good, last = records(instances=rows).get_json()["predictions"]

    assert good == [1.0, 1.0]
    assert_problem_body(first, 400, "non_finite_input")
    assert "instances[0] holds NaN" in first["detail"]
    assert "instances[2] holds -Infinity" in last["detail"]


@pytest.mark.parametrize("threshold", ["NaN", "Infinity"])
def test_options_that_are_no_numbers_are_refused(client, threshold):
    data = f'{{"instances": [["red"]], "threshold": {threshold}}}'

    response = client.post("/v1/models/counting:predict", data=data)

    assert_problem(response, 400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [{"weather": "sun", "value": [1]}]}, "weather is 'sun'"),
        ({"instances": [{"weather": ["sun"], "value": []}]}, "weather 1, value 0"),
        ({"instances": [{"weather": ["sun"]}]}, "unknown field 'weather'"),
        ({"inputs": [["sun"]]}, "the inputs weather, value"),
        ({"inputs": {"value": [[1]]}}, "takes weather, value"),
        ({"inputs": {"weather": [["sun"]], "value": [[1], [2]]}}, "value has 2"),
        ({"inputs": {"weather": [["sun"]], "value": [[1, 2]]}}, "different lengths"),
    ],
)
def test_records_in_pieces_that_do_not_fit_are_refused(records, body, words):
    response = records(**body)

    assert response.status_code == 400
    assert words in response.get_json()["detail"]


def test_base64_is_decoded_where_an_event_is_expected(predict, records):
    bare = predict([{"b64": "cmVk"}, "green"]).get_json()["predictions"]
    unpadded = predict([{"b64": "Z3JlZW4"}]).get_json()["predictions"]
    shop = records(instances=[{"weather": [{"b64": "c3Vu"}], "value": [1]}]).get_json()

    assert bare == [[0.5, 0.5, 0.0]]
    assert unpadded == [[0.0, 1.0, 0.0]]
    assert shop["predictions"] == [[1.0, 1.0]]


@pytest.mark.parametrize("text", ["*", 5, None, "/w==", "cmVk cmVk"])
def test_what_is_not_base64_is_refused(predict, text):
    body = assert_problem(predict([{"b64": text}]), 400, "invalid_event")

    assert "not base64" in body["detail"]


def test_empty_names_behind_the_last_event_are_padding(predict):
    answer = predict(["red", "", ""], ["red", "green", "red"]).get_json()

    assert answer["predictions"][0] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("sequence", [[""], ["", "red"], ["red", "", "green"]])
def test_empty_names_elsewhere_are_refused(predict, sequence):
    assert_problem(predict(sequence), 400, "unknown_event")


def test_events_nested_too_deep_are_refused(client):
    deep = b"[" * 400 + b'"red"' + b"]" * 400
    data = b'{"instances": [[' + deep + b"]]}"

    response = client.post("/v1/models/counting:predict", data=data)

    assert_problem(response, 400, "invalid_event")


@pytest.mark.parametrize("text", [b'["\\ud800"]', b'["\\udc00x"]'])
@pytest.mark.parametrize("extra", [b"", b", [NaN]"])
def test_halves_of_surrogate_pairs_are_refused(client, text, extra):
    data = b'{"instances": [' + text + extra + b"]}"

    response = client.post("/v1/models/counting:predict", data=data)

    assert response.status_code == 400
    json.dumps(response.get_json()).encode()


@pytest.mark.parametrize("at", [0, 255, 256, 1023, 1024, 3000])
def test_what_is_wrong_is_found_wherever_it_lies(at):
    def put(value):
        return [1] * at + [{"a": [value]}] + [1] * 10

    with pytest.raises(NonFiniteInput):
        refuse_non_finite(put(float("nan")), "row")
    refuse_non_finite(put(1.5), "row")
    assert normalize_events(put({"b64": "cmVk"})) == put("red")
    assert normalize_events(put("red")) is None
