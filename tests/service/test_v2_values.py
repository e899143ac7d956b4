"""Tensors become the same sequences as JSON rows, bit for bit."""

import numpy as np
import pytest

from service.api.v2.events import encode_rows
from service.api.v2.parse import parse_body
from service.api.v2.schema import InputForm
from service.api.v2.tensors import read_binary, read_json, write_texts
from service.errors import (
    CarryoverError,
    EmptySequence,
    InvalidEvent,
    InvalidRequest,
    NonFiniteInput,
    SequenceTooLong,
    TooManyRows,
    UnknownEvent,
)
from service.registry.artifact import Manifest
from service.registry.catalog import Model
from service.registry.encoding.events import build_encoder
from tests.fakes import CountingRuntime, counting_model

FIELDS = [
    {"name": "time", "type": "time"},
    {"name": "value", "type": "number", "mean": 0.0, "std": 1.0},
    {"name": "weather", "type": "category", "vocabulary": ["rain", "sun"]},
    {"name": "machine", "type": "index", "size": 9},
    {"name": "sensors", "type": "vector", "size": 2},
]
RECORDS = [
    {
        "time": "2014-12-01T08:00:00.25",
        "value": 0.1,
        "weather": "sun",
        "machine": 8,
        "sensors": [1e30, -0.3],
    },
    {
        "time": "2014-12-01 23:59",
        "value": 16777217,
        "weather": "rain",
        "machine": 0,
        "sensors": [0.7, 3],
    },
]


def build_model(schema, max_events=50):
    manifest = Manifest(
        format=1,
        name="m",
        version=1,
        task="label",
        cell="rnn",
        units=[3],
        input=schema,
        output={"kind": "values", "name": "values"},
        memory={},
        network="ab" * 32,
        files={},
    )
    encoder = build_encoder(schema, max_events=max_events)
    return Model(manifest, CountingRuntime(), encoder)


def tensor(name, values, datatype):
    """Read a tensor in its binary form, from nested lists."""
    array = np.array(values, {"BYTES": object}.get(datatype))
    form = InputForm(name, list(array.shape), datatype)
    if datatype == "BYTES":
        return read_binary(form, memoryview(write_texts(array.ravel())))
    dtype = {"FP": "f", "IN": "i", "UI": "u", "BO": "?"}[datatype[:2]]
    size = "" if dtype == "?" else str(int(datatype.lstrip("FPUINT")) // 8)
    data = array.astype(f"<{dtype}{size}").tobytes()
    return read_binary(form, memoryview(data))


def encode(model, *columns, max_rows=10):
    return encode_rows({c.name: c for c in columns}, model, max_rows=max_rows)


def columns_of(records):
    column = {name: [[r[name] for r in records]] for name in records[0]}
    return [
        tensor("time", column["time"], "BYTES"),
        tensor("value", column["value"], "FP64"),
        tensor("weather", column["weather"], "BYTES"),
        tensor("machine", column["machine"], "INT64"),
        tensor("sensors", column["sensors"], "FP64"),
    ]


def test_records_are_encoded_as_json_rows_are():
    model = build_model({"kind": "record", "fields": FIELDS})

    (encoded,) = encode(model, *columns_of(RECORDS))

    expected = model.encoder.encode(RECORDS)
    assert encoded.dtype == expected.dtype
    assert encoded.tobytes() == expected.tobytes()


@pytest.mark.parametrize("datatype", ["INT8", "UINT16", "INT32", "UINT32", "INT64"])
def test_indices_stand_for_names(datatype):
    model = counting_model()

    (encoded,) = encode(model, tensor("sequence", [[1, 0, 1]], datatype))

    expected = model.encoder.encode(["green", "red", "green"])
    assert encoded.dtype == expected.dtype
    assert encoded.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "datatype", ["FP32", "FP64", "INT32", "BOOL", "FP16", "UINT64"]
)
@pytest.mark.parametrize("size", [1, 2])
def test_vectors_of_any_numeric_datatype_are_encoded(datatype, size):
    model = build_model({"kind": "vector", "size": size})
    values = [[[1] * size, [0] * size]]

    (encoded,) = encode(model, tensor("sequence", values, datatype))

    assert encoded.tolist() == model.encoder.encode(values[0]).tolist()


def test_vector_of_one_number_may_lack_its_axis():
    model = build_model({"kind": "vector", "size": 1})

    (encoded,) = encode(model, tensor("sequence", [[0.5, 1.5]], "FP32"))

    assert encoded.tolist() == [[0.5], [1.5]]


def test_length_cuts_padded_rows():
    model = counting_model()
    names = [["red", "green", ""], ["green", "", ""]]

    encoded = encode(
        model, tensor("sequence", names, "BYTES"), tensor("length", [2, 1], "INT32")
    )

    assert [row.tolist() for row in encoded] == [[0, 1], [1]]


NAMES = tensor("sequence", [["red", "green"]], "BYTES")


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ([], InvalidRequest, "lacks sequence"),
        ([NAMES, tensor("x", [[1]], "INT32")], InvalidRequest, "'x' is not one of"),
        ([tensor("sequence", ["red"], "BYTES")], InvalidRequest, "shape [1]"),
        ([tensor("sequence", [[["red"]]], "BYTES")], InvalidRequest, "[1, 1, 1]"),
        ([tensor("sequence", [[]], "BYTES")], EmptySequence, "row 0"),
        ([tensor("sequence", np.empty((0, 1)), "INT32")], EmptySequence, "no row"),
        ([tensor("sequence", [["red"]] * 11, "BYTES")], TooManyRows, "at most 10"),
        ([tensor("sequence", [["red"] * 51], "BYTES")], SequenceTooLong, "at most 50"),
        ([tensor("sequence", [["gren"]], "BYTES")], UnknownEvent, "'green'?"),
        ([tensor("sequence", [[0, 3]], "INT32")], UnknownEvent, "sequence[1] is 3"),
        ([tensor("sequence", [[-1]], "INT64")], UnknownEvent, "0 to 2"),
        ([tensor("sequence", [[0.0]], "FP32")], InvalidEvent, "Send INT32"),
        ([tensor("sequence", [[True]], "BOOL")], InvalidEvent, "Send INT32"),
        ([NAMES, tensor("length", [3], "INT32")], InvalidRequest, "outside 0 to 2"),
        ([NAMES, tensor("length", [-1], "INT64")], InvalidRequest, "outside 0 to 2"),
        ([NAMES, tensor("length", [0], "INT32")], EmptySequence, "row 0"),
        ([NAMES, tensor("length", [1, 1], "INT32")], InvalidRequest, "shape [1]"),
        ([NAMES, tensor("length", [1], "FP32")], InvalidRequest, "INT32"),
    ],
)
def test_what_the_model_does_not_take_is_refused(columns, error, words):
    with pytest.raises(error) as caught:
        encode(counting_model(), *columns)

    assert type(caught.value) is error
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("name", "values", "datatype", "error"),
    [
        ("time", [["yesterday", "2014-12-01T08:00"]], "BYTES", InvalidEvent),
        ("time", [[1, 2]], "INT64", InvalidEvent),
        ("value", [["1", "2"]], "BYTES", InvalidEvent),
        ("value", [[np.nan, 1]], "FP32", NonFiniteInput),
        ("value", [[1, 1e39]], "FP64", NonFiniteInput),
        ("weather", [["rain", "fog"]], "BYTES", UnknownEvent),
        ("machine", [[8, 9]], "INT32", UnknownEvent),
        ("sensors", [[[1, 2], [3, np.inf]]], "FP32", NonFiniteInput),
        ("sensors", [[[1, 2, 3]] * 2], "FP32", InvalidRequest),
        ("value", [[1, 2, 3]], "FP32", InvalidRequest),
    ],
)
def test_bad_field_of_a_record_is_refused(name, values, datatype, error):
    model = build_model({"kind": "record", "fields": FIELDS})
    others = [column for column in columns_of(RECORDS) if column.name != name]

    with pytest.raises(error) as caught:
        encode(model, *others, tensor(name, values, datatype))

    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP32", [1], "1"),
        ("FP32", [2], "[1]"),
        ("FP32", [1], '["a"]'),
        ("FP32", [1], "[true]"),
        ("FP32", [1], "[null]"),
        ("FP32", [2], "[1, [2]]"),
        ("FP32", [2], "[[1], 2]"),
        ("FP32", [1], "[" + "9" * 400 + "]"),
        ("INT32", [1], "[1.5]"),
        ("INT32", [1], "[2147483648]"),
        ("UINT8", [1], "[-1]"),
        ("INT64", [1], "[" + "9" * 400 + "]"),
        ("BOOL", [1], "[1]"),
        ("BYTES", [1], "[1]"),
        ("BYTES", [1], "[{}]"),
        ("FP8", [1], "[1]"),
    ],
)
def test_json_data_of_another_type_or_count_are_refused(datatype, shape, data):
    with pytest.raises(CarryoverError) as caught:
        read_json(InputForm("x", shape, datatype), data.encode())

    assert isinstance(caught.value, InvalidRequest)


@pytest.mark.parametrize(
    "data", ["[1, 2, 3, 4]", "[[1, 2], [3, 4]]", "[[[1], [2]], [[3], [4]]]"]
)
def test_json_data_may_be_flat_or_nested(data):
    column = read_json(InputForm("x", [2, 2], "INT64"), data.encode())

    assert column.values.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP32", [2], b"\0" * 7),
        ("FP64", [1], b"\0" * 4),
        ("BF16", [1], b"\0\0"),
        ("BYTES", [1], b""),
        ("BYTES", [1], b"\2\0\0"),
        ("BYTES", [1], b"\2\0\0\0a"),
        ("BYTES", [1], b"\1\0\0\0ab"),
        ("BYTES", [1], b"\1\0\0\0\xff"),
        ("BYTES", [2], b"\4\0\0\0abcd"),
        ("BYTES", [1], b"\0\0\0\0\0\0\0\0"),
        ("BYTES", [1], b"\xff\xff\xff\xffa"),
        ("BYTES", [2**31 - 1, 2**31 - 1, 2**31 - 1], b""),
        ("FP32", [2**31 - 1, 2**31 - 1, 2**31 - 1], b""),
    ],
)
def test_binary_data_that_do_not_fit_their_shape_are_refused(datatype, shape, data):
    with pytest.raises(InvalidRequest):
        read_binary(InputForm("x", shape, datatype), memoryview(data))


@pytest.mark.parametrize(
    ("schema", "body", "sequence"),
    [
        ({"kind": "vector", "size": 2}, np.arange(4, dtype="<f4"), [[0, 1], [2, 3]]),
        ({"kind": "index", "size": 9}, np.array([8, 0], "<i4"), [8, 0]),
    ],
    ids=["vectors", "indices"],
)
def test_raw_body_of_numbers_is_one_row(schema, body, sequence):
    request = parse_body(body.tobytes(), 0, build_model(schema), max_rows=1)

    assert [row.sequence.tolist() for row in request.rows] == [sequence]
    assert all(wanted.is_binary for wanted in request.outputs)


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ({"kind": "vector", "size": 2}, b"\0" * 9),
        ({"kind": "vector", "size": 2}, b""),
        ({"kind": "record", "fields": FIELDS}, b"\0" * 8),
        ({"kind": "event", "vocabulary": ["red"]}, b"\xff"),
    ],
)
def test_raw_body_that_is_no_row_is_refused(schema, body):
    with pytest.raises(InvalidRequest):
        parse_body(body, 0, build_model(schema), max_rows=1)
