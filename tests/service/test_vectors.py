import numpy as np
import pytest

from service.errors import EmptySequence, InvalidEvent, NonFiniteInput, UnknownEvent
from service.registry.encoding.events import build_encoder

INDEX = {"kind": "index", "size": 9}
VECTOR = {"kind": "vector", "size": 3}
RECORD = {
    "kind": "record",
    "fields": [
        {"name": "sensors", "type": "vector", "size": 2},
        {"name": "machine", "type": "index", "size": 2**24},
    ],
}


def encode(schema, *events):
    return build_encoder(schema, max_events=5).encode(list(events))


def test_whole_numbers_stay_what_they_are():
    encoded = encode(INDEX, 0, 8, 3)

    assert encoded.dtype == np.int32
    assert encoded.tolist() == [0, 8, 3]


def test_lists_of_numbers_become_rows():
    encoded = encode(VECTOR, [1, 2.5, -3], [0, 0, 1e30])

    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, np.float32([[1, 2.5, -3], [0, 0, 1e30]]))


def test_vectors_of_one_number_may_come_without_their_lists():
    encoded = encode({"kind": "vector", "size": 1}, 1, [2.5], -3.0)

    assert encoded.tolist() == [[1.0], [2.5], [-3.0]]


@pytest.mark.parametrize(
    "event", [[True, False, 1], [1, 0, 1], [True, False, True], [1.0, False, True]]
)
def test_true_and_false_stand_for_1_and_0_where_the_model_takes_bool(event):
    schema = {"kind": "vector", "size": 3, "boolean": True}
    field = {"name": "switches", "type": "vector", "size": 3, "boolean": True}

    assert encode(schema, event).tolist() == [[1, 0, 1]]
    fields = {"kind": "record", "fields": [field]}
    assert encode(fields, {"switches": event}).tolist() == [[1, 0, 1]]


def test_one_bool_may_come_without_its_list():
    encoded = encode({"kind": "vector", "size": 1, "boolean": True}, True, [False], 1)

    assert encoded.tolist() == [[1], [0], [1]]


@pytest.mark.parametrize("value", ["yes", None, [True]], ids=repr)
def test_what_is_no_bool_is_refused_by_what_is_expected(value):
    with pytest.raises(InvalidEvent, match=r"\[1\] is .*; expected true, false or a"):
        encode({"kind": "vector", "size": 2, "boolean": True}, [True, value])


def test_fields_of_a_record_lie_side_by_side():
    encoded = encode(RECORD, {"machine": 2**24 - 1, "sensors": [0.5, 2]})

    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[0.5, 2.0, 2**24 - 1]]


@pytest.mark.parametrize(
    ("schema", "event", "error", "words"),
    [
        (INDEX, 9, UnknownEvent, "is 9; this model takes whole numbers, 0 to 8"),
        (INDEX, -1, UnknownEvent, "is -1"),
        (INDEX, 10**50, UnknownEvent, "a huge integer"),
        (INDEX, "3", InvalidEvent, "is '3'"),
        (INDEX, 3.0, InvalidEvent, "is 3.0"),
        (INDEX, True, InvalidEvent, "is true"),
        (INDEX, [3], InvalidEvent, "a list of 1"),
        (VECTOR, 3, InvalidEvent, "is 3; this model takes a list of 3 numbers"),
        (VECTOR, [1, 2], InvalidEvent, "a list of 2; this model takes a list of 3"),
        (VECTOR, "abc", InvalidEvent, "is 'abc'"),
        (VECTOR, {"a": 1, "b": 2, "c": 3}, InvalidEvent, "fields a, b, c"),
        (VECTOR, [1, "2", 3], InvalidEvent, "[1] is '2'; expected a number"),
        (VECTOR, [1, True, 3], InvalidEvent, "[1] is true"),
        (VECTOR, [True, True, True], InvalidEvent, "[0] is true; expected a number"),
        (RECORD, {"sensors": [1, True], "machine": 0}, InvalidEvent, "is true"),
        (VECTOR, [1, [2], 3], InvalidEvent, "[1] is a list of 1"),
        (VECTOR, [1, None, 3], InvalidEvent, "[1] is null"),
        (VECTOR, [1, 2, 1e39], NonFiniteInput, "fits a 32-bit float"),
        (VECTOR, [1, 2, float("nan")], NonFiniteInput, "[2] is nan"),
        (VECTOR, [1, 2, 10**500], NonFiniteInput, "a huge integer"),
        (RECORD, [1, 2], InvalidEvent, "exactly the fields sensors, machine"),
        (RECORD, {"sensors": [1, 2]}, InvalidEvent, "exactly the fields"),
        (RECORD, {"sensors": [1], "machine": 0}, InvalidEvent, ".sensors is a list"),
        (RECORD, {"sensors": [1, 2], "machine": -1}, UnknownEvent, ".machine is -1"),
    ],
)
def test_bad_event_is_refused_with_its_place_and_a_fix(schema, event, error, words):
    record = {"sensors": [0, 0], "machine": 0}
    good = {"index": 0, "vector": [0, 0, 0], "record": record}[schema["kind"]]

    with pytest.raises(error) as caught:
        encode(schema, good, event)

    assert type(caught.value) is error
    assert words in caught.value.detail
    assert "sequence[1]" in caught.value.detail
    assert caught.value.members["position"] == 1
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize("schema", [INDEX, VECTOR], ids=["index", "vector"])
def test_a_row_without_events_is_refused(schema):
    with pytest.raises(EmptySequence):
        encode(schema)
