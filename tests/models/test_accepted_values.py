"""The service and an exported `serving_default` take the same values for the same bits.

Looking names up and parsing times exist twice, in Python and in TensorFlow's graph.
Here both get the same records; the SavedModel's own `advance` runs what the service
encoded, so its answer must be that of `serving_default` to the bit.
"""

import string
from datetime import datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.tensorflow

from models.export import export_network  # noqa: E402
from service.errors import CarryoverError  # noqa: E402
from service.registry.encoding.events import build_encoder  # noqa: E402
from tests import networks  # noqa: E402

GOOD = {
    "weather": "sun",
    "time": "2014-07-01T00:30:00",
    "value": 20.0,
    "door": "open",
    "guests": 3.0,
}
FLOAT32_MAX = 3.4028235e38  # as JSON writes it, which is above the exact value
ROUNDS_TO_INFINITY = 2.0**128 - 2.0**103
# Each once for the service and for the SavedModel.
TAKEN_TIMES = (
    "2014-07-01T00:30:00",
    "2014-07-01 23:59:59",
    "2016-02-29T12:00",
    "1999-12-31T06:07:08",
    "1970-01-01T00:00:00",
    "2000-03-01T00:00:00",
    "2014-07-01T00:30:01.250",
    "2014-07-01T00:30:01.000001",
    "2014-12-31T23:59",
    "2014-12-31T23:59:59.99",
    "2014-12-31T23:59:59.999999",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999",
)
REFUSED_TIMES = (
    "2014-07-01T00:30+05:00",
    "2014-07-01T00:30:00Z",
    "2014-02-29T00:00:00",
    "2014-13-01T00:00:00",
    "2014-00-10T00:00:00",
    "2014-07-32T00:00:00",
    "2014-07-01T24:00:00",
    "2014-07-01T24:01:00",
    "2014-07-01T00:60:00",
    "2014-07-01T00:00:60",
    "2014-07-01T00:30:00.",
    "2014-07-01T00:30:00.1234567",
    "2014-07-01T00:30:00,5",
    "2014-07-01T00:30:00\n",
    "\u0662014-07-01T00:30:00",
    "201\uff14-07-01T00:30:00",
    "0000-07-01T00:00:00",
    "20140701T003000",
    "2014-W27-2T00:30",
    "2014-07-01",
    "yesterday",
    "",
)


def write_time(time, separator, form):
    """Write a time with seconds and digits of a fraction, or without."""
    digits = {"minutes": 16, "seconds": 19}.get(form, 26)
    text = f"{time.isoformat(separator, 'microseconds')}"[:digits]
    return text if form != "digits" else text.rstrip("0").rstrip(".")


right_times = st.builds(
    write_time,
    st.datetimes(),
    st.sampled_from("T "),
    st.sampled_from(["minutes", "seconds", "microseconds", "digits"]),
)
near_midnight = st.integers(0, 999_999).map(lambda k: f"2014-07-01T23:59:59.{k:06d}")


@st.composite
def wrong_times(draw):
    """Change, drop or add one character of a time."""
    text, at = draw(right_times), draw(st.integers(0, 27))
    drop = draw(st.integers(0, 1))
    put = draw(st.text(string.digits + "T :.-+Zz,\n\u0663", max_size=1))
    return text[:at] + put + text[at + drop :]


numbers = st.floats() | st.floats(width=32) | st.integers(-(2**130), 2**130)
names = st.sampled_from(["rain", "sun", "snow", "open", "", "Sun"]) | st.text(
    # A surrogate cannot be sent; TensorFlow's strings are bytes and would end at none.
    st.characters(exclude_categories=("Cs",)),
    max_size=6,
)
given_records = settings(max_examples=150, deadline=None, database=None)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Export a network of times, numbers and categories; return its signatures."""
    import tensorflow as tf

    network = networks.build(networks.SHOP, networks.QUANTILES)
    path = tmp_path_factory.mktemp("shop") / "1"
    real = networks.shop_visits(2, 12)
    layout = export_network(network, networks.SHOP, networks.QUANTILES, path, real=real)
    loaded = tf.saved_model.load(path)
    return loaded.signatures, layout, loaded


def answer_by_service(model, records):
    """Encode records as the service does and advance no memory; None if refused."""
    import tensorflow as tf

    signatures, layout, _ = model
    try:
        sequence = build_encoder(networks.SHOP, max_events=50).encode(records)
    except CarryoverError:
        return None
    assert np.isfinite(sequence).all()
    memory = {name: tf.zeros((1, *size)) for name, size in layout.items()}
    length = tf.constant([len(sequence)])
    answer = signatures["advance"](sequence=sequence[None], length=length, **memory)
    return answer["forecast"].numpy()[:, -1].tobytes()


def answer_by_serving_default(model, records):
    """Answer the same records as a client of TensorFlow Serving gets them answered."""
    import tensorflow as tf

    serve = model[0]["serving_default"]
    fields = {name: [record[name] for record in records] for name in records[0]}
    with np.errstate(over="ignore"):
        tensors = {
            name: tf.constant([np.array(values, np.float64).astype(np.float32)])
            if name in ("value", "guests")
            else tf.constant([values])
            for name, values in fields.items()
        }
    try:
        return serve(**tensors)["forecast"].numpy().tobytes()
    except tf.errors.InvalidArgumentError:
        return None


def agree(model, records):
    """Check that both answer alike, and say whether they took the records."""
    answer = answer_by_service(model, records)
    assert answer_by_serving_default(model, records) == answer
    return answer is not None


@pytest.mark.parametrize("text", TAKEN_TIMES)
def test_times_that_both_take(model, text):
    assert agree(model, [GOOD, GOOD | {"time": text}])


@pytest.mark.parametrize("text", REFUSED_TIMES)
def test_times_that_both_refuse(model, text):
    assert not agree(model, [GOOD, GOOD | {"time": text}])


@given_records
@given(text=right_times | near_midnight)
def test_any_right_time_is_taken_alike(model, text):
    assert agree(model, [GOOD | {"time": text}, GOOD])


@given_records
@given(text=wrong_times())
def test_any_nearly_right_time_is_judged_alike(model, text):
    agree(model, [GOOD | {"time": text}, GOOD])


@given_records
@given(time=st.datetimes() | near_midnight.map(datetime.fromisoformat))
def test_columns_of_any_time_are_the_same_bits(time):
    import tensorflow as tf

    from models.export.parsing import parse_time
    from service.registry.encoding.fields import read_time

    text = time.isoformat()
    columns = [float(column[0, 0]) for column in parse_time(tf.constant([[text]]))]

    assert columns == np.float32(read_time(text, "time", 0)).tolist()
    assert 0 <= columns[1] < 86_400  # a second of this day, however it is rounded


@given_records
@given(number=numbers)
@example(FLOAT32_MAX)
@example(-FLOAT32_MAX)
@example(ROUNDS_TO_INFINITY)
@example(float(np.nextafter(ROUNDS_TO_INFINITY, 0)))
@example(float("nan"))
@example(1e-46)
def test_any_number_is_judged_alike(model, number):
    agree(model, [GOOD, GOOD | {"guests": number}])


@pytest.mark.parametrize("number", [FLOAT32_MAX, -FLOAT32_MAX])
def test_the_largest_float32_is_taken_as_json_writes_it(number):
    from service.registry.encoding.fields import read_number

    assert np.isfinite(np.float32(read_number(number, "value", 0)))


@given_records
@given(weather=names, door=names)
def test_any_name_is_judged_alike(model, weather, door):
    agree(model, [GOOD | {"weather": weather, "door": door}])
