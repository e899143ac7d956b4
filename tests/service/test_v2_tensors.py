"""Tensors of `/v2`: rows, binary and raw bodies, chosen outputs, compression."""

import gzip
import struct
import zlib

import pytest

from service.api.v2.tensors import write_texts
from tests.problems import assert_problem
from tests.service.v2_bodies import (
    INFER,
    LENGTH,
    binary_body,
    events,
    outputs_of,
)


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


def test_one_bad_row_refuses_the_request(client):
    two = events("red", "poison") | {"shape": [2, 1]}

    assert_problem(client.post(INFER, json={"inputs": [two]}), 500, "non_finite")
