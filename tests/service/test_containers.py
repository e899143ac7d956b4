"""A row of very many lists and objects is refused before they are made."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.long_json import count_containers
from service.api.v1 import parse, row
from service.api.v1.row import limit_of_row
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body
from tests.service.markov import markov_model
from tests.service.test_json_loading import VALUES

DEEP = "[" * 12 + '"red"' + "]" * 12
NUM_LISTS = 12 * 400
MANY = f"[{','.join([DEEP] * 400)}]"
BRACKETS = json.dumps(["[{" * 40] * 40)


@pytest.fixture(autouse=True)
def all_large(monkeypatch):
    """Let every body be read row by row, as a large one is."""
    monkeypatch.setattr(parse, "LARGE_BYTES", 0)


def count(value):
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return 1 + sum(map(count, parts))
    return 0


@given(VALUES, st.text(max_size=9))
def test_count_is_that_of_the_values_whatever_strings_contain(value, text):
    value = [value, text, '["{', "\\"]

    assert count_containers(json.dumps(value), 0) == count(value)


def ask_rows(client, row):
    body = f'{{"instances":[{row},["red"]]}}'
    bad, good = client.post("/v1/models/counting:predict", data=body).get_json()[
        "predictions"
    ]
    assert good == [1, 0, 0]
    return bad


def ask_lines(client, row):
    answer = client.post("/v1/models/counting:stream", data=f'{row}\n["red"]\n')
    bad, good = map(json.loads, answer.data.splitlines())
    assert good == [1, 0, 0]
    return bad


def ask_tensor(client, row):
    tensor = f'{{"name":"sequence","shape":[1,1],"datatype":"BYTES","data":{row}}}'
    return client.post(
        "/v2/models/counting/infer", data=f'{{"inputs":[{tensor}]}}'
    ).get_json()


@pytest.mark.parametrize("ask", [ask_rows, ask_lines, ask_tensor])
def test_many_lists_are_refused_by_their_number(client, ask):
    problem = ask(client, MANY)

    assert_problem_body(problem, 400, "invalid_request")
    assert f"has {NUM_LISTS + 1} lists and objects" in problem["detail"]


ROWS = [{"sequence": [], "session": "ß"}, {"sequence": [], "sequence_id": 7}]


@pytest.mark.parametrize("row", ROWS, ids=["session", "sequence_id"])
@pytest.mark.parametrize("path", ["predict", "stream"])
def test_no_row_of_its_session_is_applied_after_it(client, path, row):
    first, last = (
        json.dumps(row, ensure_ascii=False).replace("[]", events)
        for events in (MANY, '["red"]')
    )
    body = f'{{"instances":[{first},{last},["red"]]}}'
    if path == "stream":
        body = f'{first}\n{last}\n["red"]\n'

    answer = client.post(f"/v1/models/counting:{path}", data=body.encode())

    rows = [json.loads(line) for line in answer.data.splitlines()]
    bad, blocked, good = rows if path == "stream" else rows[0]["predictions"]
    assert_problem_body(bad, 400, "invalid_request")
    assert blocked["code"] == "earlier_row_failed"
    assert good == [1, 0, 0]


@pytest.mark.parametrize("ask", [ask_rows, ask_lines])
def test_brackets_in_the_names_of_events_are_no_lists(client, ask):
    assert_problem_body(ask(client, BRACKETS), 400, "unknown_event")


@pytest.mark.parametrize("model", [counting_model(), markov_model()])
def test_the_longest_row_of_events_in_base64_is_within_the_limit(model):
    row = [{"b64": "cmVk"}] * model.encoder.max_events

    assert count({"sequence": row}) < limit_of_row(model)


def test_many_lists_in_columns_are_refused_by_their_number(client, monkeypatch):
    monkeypatch.setattr(row, "MAX_IN_COLUMNS", NUM_LISTS)

    answer = client.post("/v1/models/counting:predict", data=f'{{"inputs":{MANY}}}')

    problem = assert_problem(answer, 400, "invalid_request")
    assert f"has {NUM_LISTS + 2} lists and objects" in problem["detail"]
