"""A large body is read and answered row by row, and gives what a small one gives."""

import json

import pytest

from service.dialects import v1
from tests.problems import assert_problem


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(v1, "LARGE_BYTES", 0)


ROWS = (["red"], {"sequence": ["green"], "session": "s"}, ["nonsense"], 5)


@pytest.mark.parametrize("num_rows", [1, 2, 4])
def test_the_answer_does_not_depend_on_the_size(predict, monkeypatch, clock, num_rows):
    rows = ROWS[:num_rows]
    small = predict(*rows)
    predict({"sequence": ["red"], "session": "other"})
    monkeypatch.setattr(v1, "LARGE_BYTES", 0)
    renamed = json.loads(json.dumps(rows).replace('"s"', '"t"'))

    large = predict(*renamed)

    assert large.data == small.data.replace(b'"s"', b'"t"')


def test_broken_json_is_refused(client, large):
    answer = client.post("/v1/models/counting:predict", data=b'{"instances": [["red"]')

    assert_problem(answer, 400, "invalid_json")


def test_unknown_fields_are_refused(predict, large):
    assert_problem(predict(["red"], colour=1), 400, "unknown_field")
