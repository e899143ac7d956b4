import numpy as np
import pytest

from service.api.v2.input_plan import check_numbers
from service.errors import (
    CarryoverError,
    InvalidEvent,
    NonFiniteInput,
    UnknownEvent,
)
from service.registry.encoding.events import build_encoder
from service.registry.encoding.last_event import show_event
from service.registry.encoding.vectors import VectorEncoder

SERIES = {
    "kind": "record",
    "fields": [{"name": "time", "type": "time"}, {"name": "value", "type": "number"}],
}
GOOD = {"time": "2014-07-01T00:30:00", "value": 10844}


@pytest.fixture
def encoder():
    return build_encoder(SERIES, max_events=5)


def test_records_become_day_second_and_number(encoder):
    encoded = encoder.encode([GOOD, {"time": "1970-01-02 23:59", "value": -0.5}])

    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[16252.0, 1800.0, 10844.0], [1.0, 86340.0, -0.5]]


def test_fields_may_come_in_any_order(encoder):
    swapped = dict(reversed(GOOD.items()))

    assert encoder.encode([swapped]).tolist() == encoder.encode([GOOD]).tolist()


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        ("red", InvalidEvent, "'red'; this model takes an object"),
        ({"time": GOOD["time"]}, InvalidEvent, "exactly the fields time, value"),
        ({**GOOD, "extra": 1}, InvalidEvent, "fields time, value, extra"),
        ({**GOOD, "value": "7"}, InvalidEvent, "value is '7'; expected a number"),
        ({**GOOD, "value": True}, InvalidEvent, "value is true"),
        ({**GOOD, "value": None}, InvalidEvent, "value is null"),
        ({**GOOD, "value": float("nan")}, NonFiniteInput, "value is nan"),
        ({**GOOD, "value": float("-inf")}, NonFiniteInput, "value is -inf"),
        ({**GOOD, "value": 1e39}, NonFiniteInput, "fits a 32-bit float"),
        ({**GOOD, "value": 10**5000}, NonFiniteInput, "a huge integer"),
        ({**GOOD, "time": "yesterday"}, InvalidEvent, "expected an ISO 8601 time"),
        ({**GOOD, "time": 1404172800}, InvalidEvent, "expected an ISO 8601 time"),
        ({**GOOD, "time": "2014-07-01T00:00:00Z"}, InvalidEvent, "UTC offset"),
        ({**GOOD, "time": "2014-02-30T00:00:00"}, InvalidEvent, "2014-02-30"),
    ],
)
def test_bad_record_is_refused_with_its_place_and_a_fix(encoder, event, error, words):
    with pytest.raises(error) as caught:
        encoder.encode([GOOD, event])

    assert words in caught.value.detail
    assert "sequence[1]" in caught.value.detail
    assert caught.value.members["position"] == 1


def test_error_sentences_stay_short_whatever_came(encoder):
    for event in ("x" * 10**6, {"k" * 10**6: 1}, {**GOOD, "time": "y" * 10**6}):
        with pytest.raises(CarryoverError) as caught:
            encoder.encode([event])
        assert len(caught.value.detail) < 400


VISIT = {"weather": "sun", "time": "1970-01-02T00:00:07", "value": 2.5, "door": "shut"}


@pytest.fixture
def mixed():
    fields = [
        {"name": "weather", "type": "category", "vocabulary": ["rain", "sun", "snow"]},
        *SERIES["fields"],
        {"name": "door", "type": "category", "vocabulary": ["open", "shut"]},
    ]
    return build_encoder({"kind": "record", "fields": fields}, max_events=5)


def test_categories_become_their_index_in_their_own_vocabulary(mixed):
    encoded = mixed.encode([VISIT, {**VISIT, "weather": "snow", "door": "open"}])

    assert mixed.columns == (5,)
    assert encoded.tolist() == [[1, 1, 7, 2.5, 1], [2, 1, 7, 2.5, 0]]


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("snwo", UnknownEvent, "'snwo', which is no weather of this model. Did you"),
        ("fog", UnknownEvent, "It knows rain, sun, snow."),
        ("open", UnknownEvent, "no weather of this model"),  # a door may be
        ("", UnknownEvent, "It knows rain, sun, snow."),
        (1, InvalidEvent, "is 1; expected the name of a weather, such as 'rain'"),
        (None, InvalidEvent, "is null; expected the name"),
        (["sun"], InvalidEvent, "is a list of 1; expected the name"),
        ("x" * 10**6, UnknownEvent, "It knows rain, sun, snow."),
    ],
)
def test_bad_category_names_its_field_and_the_choices(mixed, value, error, words):
    with pytest.raises(error) as caught:
        mixed.encode([VISIT, {**VISIT, "weather": value}])

    assert words in caught.value.detail
    assert "sequence[1].weather" in caught.value.detail
    assert caught.value.members["position"] == 1
    assert len(caught.value.detail) < 400


def test_last_event_of_a_day_is_shown_as_a_time_that_can_be_sent_again(encoder):
    late = {"time": "2014-07-01T23:59:59.999999", "value": 3.4028235e38}
    (encoded,) = encoder.encode([late])
    # What an earlier release stored: the second was rounded up to the next day's.
    stored = np.array([encoded[0], 86_400, encoded[2]], "<f4")

    shown = show_event(encoded.tobytes(), encoder, SERIES)

    assert shown["time"] == "2014-07-01T23:59:59.99"
    assert encoder.encode([shown]).tolist() == [encoded.tolist()]
    assert show_event(stored.tobytes(), encoder, SERIES) == shown


@pytest.mark.parametrize("size", [1, 3])
def test_largest_float32_is_taken_as_json_writes_it(size):
    event = [3.4028235e38] * size
    encoded = VectorEncoder(size, max_events=5).encode([event])

    checked = check_numbers("value", np.array([event]))

    assert encoded.tolist() == checked.astype(np.float32).tolist()
    assert np.isfinite(encoded).all()
