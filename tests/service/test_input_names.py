"""A model's only input is taken under the name it had where it was built."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest

from service.api.v1.columns import read_columns
from service.api.v1.diagnose import read_carefully
from service.api.v2.parse import parse_body
from tests.fakes import counting_model

EVENTS = ["red", "green"]


@pytest.fixture
def model():
    """The counting model, with an input that was called `lstm_input`."""
    found = counting_model()
    manifest = msgspec.structs.replace(found.manifest, input_name="lstm_input")
    return dataclasses.replace(found, manifest=manifest)


def read_row(row, model):
    body = json.dumps({"instances": [row]}).encode()
    _, (form,) = read_carefully(body, model.manifest)
    return form


def test_row_of_the_own_name_alone_is_bare(model):
    assert read_row({"lstm_input": EVENTS}, model) == EVENTS


def test_row_of_the_own_name_takes_options(model):
    form = read_row({"lstm_input": EVENTS, "session": "first"}, model)

    assert (list(form.sequence), form.session) == (EVENTS, "first")


def test_column_of_the_own_name_has_the_rows(model):
    forms = read_columns({"lstm_input": [EVENTS]}, model.manifest, 10)

    assert forms == [EVENTS]


@pytest.mark.parametrize("name", ["lstm_input", "sequence"])
def test_tensor_of_the_own_name_has_the_events(model, name):
    tensor = {"name": name, "shape": [1, 2], "datatype": "BYTES", "data": EVENTS}
    body = json.dumps({"inputs": [tensor]}).encode()

    request = parse_body(body, None, model, max_rows=10)

    assert request.rows[0].sequence.tolist() == [0, 1]


def test_other_names_are_unknown_as_before(model):
    refused = read_row({"gru_input": EVENTS}, model)

    assert "unknown field 'gru_input'" in str(refused.error)
