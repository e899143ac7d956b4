"""A large body is read and answered row by row, and gives what a small one gives."""

import json
import sys

import pytest

from service.api import json_loading, long_json
from service.api.v1 import render
from service.api.v2 import tensors
from service.common import loop
from tests.assembly import build_app
from tests.fakes import counting_model
from tests.problems import assert_problem

# Reading a body and undoing its compression are tried with large ones.
APART = {"service.api.body", "service.api.compression"}


def make_all_large(monkeypatch):
    for name, module in list(sys.modules.items()):
        is_own = name.startswith("service.") and name not in APART
        if is_own and hasattr(module, "LARGE_BYTES"):
            monkeypatch.setattr(module, "LARGE_BYTES", 0)
    for module in (long_json, tensors):
        monkeypatch.setattr(module, "LONG_LIST_BYTES", 60)
    monkeypatch.setattr(json_loading, "SHORT", (4, 40))
    monkeypatch.setattr(render, "PIECE_ROWS", 1)
    monkeypatch.setattr(long_json, "PIECE_NUMBERS", 4)
    monkeypatch.setattr(long_json, "PIECE_ELEMENTS", 2)


@pytest.fixture
def large(monkeypatch):
    make_all_large(monkeypatch)


ROWS = (["red"], {"sequence": ["green"], "session": "s"}, ["nonsense"], 5)
LONG = ["red", "green"] * 6
NAMES = {"name": "sequence", "datatype": "BYTES"}
BODIES = {
    "rows": {"instances": ROWS},
    "one row": {"instances": ROWS[:1]},
    "long rows": {"instances": [LONG, {"sequence": LONG, "session": "s"}]},
    "all outputs": {"instances": [LONG, LONG], "return": "all", "top": 2},
    "decided": {"instances": [LONG], "return": "all", "threshold": 0.1},
    "columns": {"inputs": [LONG, LONG]},
    "columns of all outputs": {"inputs": [LONG, LONG], "return": "all"},
    "named columns": {
        "inputs": {"sequence": [["red"], LONG], "session": ["s", "t"], "start": True}
    },
    "NaN": {"instances": [["red"], [float("nan")], {"sequence": [float("inf")]}]},
    "surrogate": {"instances": [["\ud800"], ["red"]]},
    "surrogate in columns": {"inputs": [["\ud800"]]},
    "wrong option": {"instances": [["red"]], "top": 0},
    "unknown option": {"instances": [["red"]], "colour": 1},
    "wrong field": {"instances": [{"sequence": ["red"], "sesion": "s"}]},
    "no rows": {"instances": []},
    "rows that are none": {"instances": 5},
    "too many rows": {"instances": [["red"]] * 21},
    "too many columns": {"inputs": [["red"]] * 21},
    "both": {"instances": [["red"]], "inputs": [["red"]]},
    "neither": {},
    "no object": [["red"]],
    "plain memory": {
        "instances": [{"sequence": LONG, "memory": None}],
        "memory_format": "plain",
    },
    "flat": {"inputs": [NAMES | {"shape": [2, 12], "data": LONG * 2}]},
    "nested": {"inputs": [NAMES | {"shape": [2, 12], "data": [LONG, LONG]}]},
    "numbers": {"inputs": [NAMES | {"shape": [1, 12], "data": [1] * 12}]},
    "surrogate in data": {"inputs": [NAMES | {"shape": [1, 1], "data": ["\ud800"]}]},
    "NaN in data": {"inputs": [NAMES | {"shape": [1, 1], "data": [float("nan")]}]},
    "forecast": {"instances": [LONG, {"sequence": LONG}, 5], "horizon": 2},
}
# Wrong in a large body before its end is reached.
FOUND_FIRST = ("ud800", '["red"], ["red"], ["red"]', '"colour"', '"horizon"')


def has_rows(document, schema):
    """Return whether a body has rows or tensors, by its schema."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    choices = schema.get("anyOf", []) + schema.get("oneOf", [])
    return bool({"instances", "inputs"} & schema.get("properties", {}).keys()) or any(
        has_rows(document, choice) for choice in choices
    )


def find_calls():
    """List the calls that take rows in one body, by the service's own description.

    A version or a label in an address changes no body.
    """
    document = build_app([counting_model()]).test_client().get("/openapi.json").json
    return [
        address.format(model="counting")
        for address, calls in document["paths"].items()
        for call in calls.values()
        for content in call.get("requestBody", {}).get("content", {}).values()
        if "/{version}" not in address and "/{label}" not in address
        if has_rows(document, content.get("schema", {}))
    ]


CALLS = find_calls()


def ask(client, call, data):
    answer = client.post(call, data=data)
    for session in ("s", "t"):
        client.delete(f"/v1/models/counting/sessions/{session}")
    return answer.status, answer.data


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_answer_does_not_depend_on_the_size(client, monkeypatch, call, body):
    data = json.dumps(body)
    # A session that was deleted must say that it begins.
    data = data.replace('"session": "s"', '"session": "s", "start": true')
    texts = [data, data.replace(",", " , ", 3)]
    if not any(other in data for other in FOUND_FIRST):
        texts += [data[:-1], data + " x"]
    small = [ask(client, call, text) for text in texts]

    make_all_large(monkeypatch)

    assert [ask(client, call, text) for text in texts] == small


def test_every_call_with_rows_is_tried():
    found = {call.rpartition("/")[2].rpartition(":")[2] for call in CALLS}

    assert found >= {"predict", "explain", "forecast", "infer"}


def test_broken_json_is_refused(client, large):
    answer = client.post("/v1/models/counting:predict", data=b'{"instances": [["red"]')

    assert_problem(answer, 400, "invalid_json")


@pytest.mark.parametrize("call", CALLS)
def test_number_of_many_digits_is_refused_in_plain_words(client, call):
    field = "inputs" if "infer" in call else "instances"
    answer = client.post(call, data=f'{{"{field}": [[{"9" * 5000}]]}}')

    assert answer.status_code == 400
    assert b"sys." not in answer.data


def test_unknown_fields_are_refused(predict, large):
    assert_problem(predict(["red"], colour=1), 400, "unknown_field")


def test_the_first_unknown_member_of_a_large_body_ends_its_reading(client, large):
    content = b'{"instances": [["red"]], "colour": 1, and what is not JSON'

    answer = client.post("/v1/models/counting:predict", data=content)

    assert_problem(answer, 400, "unknown_field")


class HastyClock:
    """Ten seconds pass between two looks at it."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        self.seconds += 10
        return self.seconds


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("/v1/models/counting:predict", "long rows"),
        ("/v1/models/counting:predict", "columns"),
        ("/v1/models/counting:predict", "NaN"),
        ("/v1/models/counting:explain", "wrong field"),
        ("/v1/models/counting:stream", "long rows"),
        ("/v2/models/counting/infer", "nested"),
    ],
)
def test_reading_ends_when_the_time_of_the_request_is_over(
    client, monkeypatch, large, call, body
):
    monkeypatch.setattr(loop, "time", HastyClock())

    answer = client.post(call, data=json.dumps(BODIES[body]))

    problem = json.loads(answer.data.splitlines()[0])
    assert problem["code"] == "deadline_exceeded"
    assert problem["status"] == 504
    assert client.get("/v1/models/counting/sessions").json["sessions"] == []
