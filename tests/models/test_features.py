"""Features against the same computed in NumPy and with Python's own calendar."""

import itertools
from datetime import datetime, timedelta

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import ops  # noqa: E402

from models.features import encode_sequence, sequence_input  # noqa: E402
from models.schemas import TIME_FEATURES, check_inputs  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks  # noqa: E402

# float32 sines of angles up to 6 pi; an error of logic is orders larger.
TOLERANCE = 1e-5
RECORDS = networks.shop_visits(2, 9)


def encode(sequence, inputs, **options):
    return ops.convert_to_numpy(encode_sequence(sequence, inputs, **options))


def with_features(*names):
    """Take records of one time alone, with these of its features."""
    field = {"name": "at", "type": "time", "features": list(names)}
    return {"kind": "record", "fields": [field]}


def harmonics(seconds):
    angle = 2 * np.pi * np.asarray(seconds, "float64") / 86_400
    waves = [wave(k * angle) for k in (1, 2, 3) for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=-1)


def test_events_become_one_hot_vectors():
    events = networks.random_events(2, 5)

    assert np.array_equal(encode(events, networks.EVENTS), np.eye(5)[events])


def test_embedded_events_are_rows_of_a_table():
    network = networks.build(networks.EVENTS, networks.LABEL, embedding=3)
    table = network.get_weights()[0]
    (layer,) = [one for one in network.layers if one.name.startswith("embedding")]

    events = networks.random_events(2, 5)

    assert table.shape == (5, 3)
    assert np.array_equal(ops.convert_to_numpy(layer(events)), table[events])


def test_records_are_their_fields_side_by_side():
    weather, day, second, value, door, guests = np.moveaxis(RECORDS, -1, 0)
    at = day.astype("float64") * 86_400 + second
    apart = np.log1p(np.diff(at, axis=1, prepend=at[:, :1]))
    expected = [
        np.eye(3)[weather.astype(int)],
        harmonics(second),
        np.eye(7)[(day.astype(int) + 3) % 7],
        apart[..., None],
        (value[..., None] - 20) / 5,
        np.eye(2)[door.astype(int)],
        (guests[..., None] - 3) / 2,
    ]

    encoded = encode(RECORDS, networks.SHOP)

    np.testing.assert_allclose(encoded, np.concatenate(expected, -1), atol=TOLERANCE)


def test_weekday_and_time_of_day_are_the_calendars():
    times = [datetime(2024, 2, 26) + timedelta(hours=13 * k) for k in range(20)]
    epoch = datetime(1970, 1, 1)
    columns = [[(t - epoch).days, (t - epoch).seconds] for t in times]
    sequence = np.array([columns], "float32")

    weekday = encode(sequence, with_features("day_of_week"))[0]
    waves = encode(sequence, with_features("time_of_day"))[0]

    assert weekday.argmax(-1).tolist() == [time.weekday() for time in times]
    expected = harmonics([time.hour * 3600 for time in times])
    np.testing.assert_allclose(waves, expected, atol=TOLERANCE)


def write_columns(times):
    """Write times as the service does: days since 1970-01-01, seconds of the day."""
    apart = [time - datetime(1970, 1, 1) for time in times]
    columns = [[one.days, one.seconds] for one in apart]
    return np.array([columns], "float32")


def define_time_of_day(times):
    return harmonics([t.hour * 3600 + t.minute * 60 + t.second for t in times])


def define_day_of_week(times):
    return np.eye(7)[[time.weekday() for time in times]]


def define_time_since_previous(times):
    apart = [b - a for a, b in itertools.pairwise(times)]
    seconds = [0.0, *(max(0.0, one.total_seconds()) for one in apart)]
    return np.log1p(seconds)[:, None]


# Each feature of a time, from its definition, of datetimes of Python's calendar.
DEFINITIONS = {
    "time_of_day": define_time_of_day,
    "day_of_week": define_day_of_week,
    "time_since_previous": define_time_since_previous,
}
MIDNIGHT = datetime(1970, 1, 1)
INSTANTS = {
    "days before 1970": [datetime(1969, 12, 28) + timedelta(k) for k in range(8)],
    "midnights of 1904": [datetime(1904, 2, 27) + timedelta(k) for k in range(5)],
    "1970-01-01 first": [MIDNIGHT, MIDNIGHT + timedelta(seconds=1), MIDNIGHT],
    "1970-01-01 twice": [MIDNIGHT, MIDNIGHT, MIDNIGHT + timedelta(1)],
    "around midnight": [MIDNIGHT + timedelta(seconds=k) for k in (-2, -1, 0, 1)],
    "backwards": [datetime(1969, 5, 2, 3), datetime(1969, 5, 1), datetime(1980, 1, 1)],
    "year 1": [datetime(1, 1, 1), datetime(1, 1, 2), datetime(9999, 12, 31)],
    "leap day": [datetime(2024, 2, 28, 12) + timedelta(hours=12 * k) for k in range(5)],
}


def test_every_feature_of_a_time_has_a_definition_to_compare_with():
    assert set(DEFINITIONS) == set(TIME_FEATURES)


@pytest.mark.parametrize("case", INSTANTS)
@pytest.mark.parametrize("name", TIME_FEATURES)
def test_features_of_any_time_are_those_of_their_definition(name, case):
    times = INSTANTS[case]

    encoded = encode(write_columns(times), with_features(name))[0]

    expected = DEFINITIONS[name](times)
    np.testing.assert_allclose(encoded, expected, atol=TOLERANCE)


@pytest.mark.parametrize("case", INSTANTS)
@pytest.mark.parametrize("name", TIME_FEATURES)
def test_features_streamed_one_by_one_are_those_of_their_definition(name, case):
    inputs = with_features(name)
    sequence = sequence_input(inputs)
    network = keras.Model(sequence, encode_sequence(sequence, inputs))
    streaming = stream_network(network, {"kind": "values", "name": "values"})
    memory = {n: np.zeros((1, *s), "float32") for n, s in streaming.memory.items()}
    columns, parts = write_columns(INSTANTS[case]), []

    for k in range(columns.shape[1]):
        # A timestep of padding, which must leave no trace in the memory.
        event = np.pad(columns[:, k : k + 1], [(0, 0), (0, 1), (0, 0)])
        given = {"sequence": event, "length": np.array([1], "int32"), **memory}
        results = streaming.advance(given)
        memory = {n: ops.convert_to_numpy(results[n]) for n in memory}
        parts.append(ops.convert_to_numpy(results["values"])[0, 0])

    expected = DEFINITIONS[name](INSTANTS[case])
    np.testing.assert_allclose(np.stack(parts), expected, atol=TOLERANCE)


def test_features_of_a_time_come_in_the_order_asked_for():
    columns = RECORDS[..., 1:3]
    swapped = with_features("time_since_previous", "time_of_day")

    parts = [
        encode(columns, with_features(name))
        for name in ("time_since_previous", "time_of_day")
    ]

    assert np.array_equal(encode(columns, swapped), np.concatenate(parts, -1))


def test_a_time_without_features_named_has_its_calendar():
    plain = {"kind": "record", "fields": [{"name": "at", "type": "time"}]}
    columns = RECORDS[..., 1:3]

    calendar = encode(columns, with_features("time_of_day", "day_of_week"))

    assert np.array_equal(encode(columns, plain), calendar)


def record(**field):
    return {"kind": "record", "fields": [{"name": "door", **field}]}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"kind": "events"}, "'events'; choose one of event, record"),
        ({"kind": "event", "vocabulary": []}, "vocabulary is empty"),
        ({"kind": "event", "vocabulary": ["a", "b", "a"]}, "'a'] more than once"),
        ({"kind": "record", "fields": []}, "fields is empty"),
        (record(type="text"), "type of field 'door' is 'text'; choose one of time"),
        (record(type="category", vocabulary=[]), "vocabulary of field 'door' is empty"),
        (record(type="time", features=[]), "features of field 'door' is empty"),
        (record(type="time", features=["hour"]), "'hour'; choose one of time_of_day"),
    ],
)
def test_wrong_input_schema_is_refused_with_the_choices(inputs, words):
    with pytest.raises(ValueError, match=r"expected|choose") as caught:
        check_inputs(inputs)

    assert words in str(caught.value)
