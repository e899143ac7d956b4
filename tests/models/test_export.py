import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from models.export import ExportError, export_network  # noqa: E402
from models.export.verification import check, find_slack  # noqa: E402
from tests import networks  # noqa: E402

# A clean process with TensorFlow and nothing of ours on its path.
PLAIN_LOAD = """
import json, sys
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
out = loaded.signatures["serving_default"](sequence=tf.constant([["open", "wait"]]))
memory = {n: tf.zeros((1, 8)) for n in ("short_term_0", "long_term_0")}
step = loaded.signatures["advance"](
    sequence=tf.constant([[0, 2]]), length=tf.constant([2]), **memory
)
assert not any(name.split(".")[0] in ("models", "training", "service")
               for name in sys.modules), "our code was imported"
print(json.dumps([out["probabilities"].numpy().tolist()[0],
                  step["probabilities"].numpy().tolist()[0][-1],
                  sorted(loaded.signatures)]))
"""


def export(tmp_path, inputs, outputs, real, **options):
    network = networks.build(inputs, outputs, **options)
    path = tmp_path / "1"
    memory = export_network(network, inputs, outputs, path, real=real)
    return network, path, memory


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network of events with a label, and the folder of its export."""
    folder = tmp_path_factory.mktemp("label")
    real = networks.random_events(2, 6)
    network, path, _ = export(folder, networks.EVENTS, networks.LABEL, real)
    return network, path


@pytest.fixture(scope="module")
def serve(exported):
    """The signature of the export that takes whole sequences."""
    import tensorflow as tf

    loaded = tf.saved_model.load(exported[1])
    # A reference to what was loaded: its variables go with it.
    return lambda **given: loaded.signatures["serving_default"](**given)


def test_folder_loads_in_a_clean_process_without_our_code(exported, tmp_path):
    network, path = exported

    done = subprocess.run(
        [sys.executable, "-c", PLAIN_LOAD, path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    whole, stepped, signatures = json.loads(done.stdout)
    expected = network(np.array([[0, 2]], "int32")).numpy()[0, -1]
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(stepped, expected, atol=1e-6)
    assert signatures == ["advance", "explain", "serving_default"]


def test_memory_tensors_are_the_names_in_both_inputs_and_outputs(tmp_path):
    import tensorflow as tf

    _, path, memory = export(
        tmp_path,
        networks.EVENTS,
        networks.NEXT_EVENT,
        networks.random_events(1, 4),
        units=(8, 6),
    )

    advance = tf.saved_model.load(path).signatures["advance"]

    inputs = set(advance.structured_input_signature[1])
    assert inputs & set(advance.structured_outputs) == set(memory)
    assert memory == {
        "short_term_0": [8],
        "long_term_0": [8],
        "short_term_1": [6],
        "long_term_1": [6],
        "expected": [5],
    }


def test_serving_default_pads_with_empty_names(exported, serve):
    import tensorflow as tf

    network, _ = exported

    answer = serve(
        sequence=tf.constant([["open", "close", ""], ["wait", "wait", "wait"]])
    )

    got = answer["probabilities"].numpy()
    short = network(np.array([[0, 4]], "int32")).numpy()[0, -1]
    long = network(np.array([[2, 2, 2]], "int32")).numpy()[0, -1]
    np.testing.assert_allclose(got, [short, long], atol=1e-6)


def test_serving_default_refuses_an_unknown_event(serve):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match="not in the vocabulary"):
        serve(sequence=tf.constant([["open", "opne"]]))


def test_serving_default_takes_any_other_event_as_the_unknown_one():
    import tensorflow as tf

    from models.export.parsing import build_tables, parse_events

    tables = build_tables({**networks.EVENTS, "unknown": "wait"})
    index, length = parse_events(
        tf.constant([["open", "opne", ""]]), tables["sequence"]
    )

    assert index.numpy()[0, :2].tolist() == [0, 2]
    assert length.numpy().tolist() == [2]


@pytest.mark.parametrize(
    "names", [["open", "", "close"], ["", "open"], ["", ""]], ids=" ".join
)
def test_serving_default_refuses_padding_between_events(serve, names):
    import tensorflow as tf

    with pytest.raises(
        tf.errors.InvalidArgumentError, match="empty names between events"
    ):
        serve(sequence=tf.constant([names]))


def test_series_are_served_whole_from_times_and_values(tmp_path):
    import tensorflow as tf

    series = networks.half_hours(4)
    network, path, _ = export(tmp_path, networks.SERIES, networks.FORECAST, series)
    times = [[f"2014-07-01T{k // 2:02d}:{k % 2 * 30:02d}:00" for k in range(4)]]

    serve = tf.saved_model.load(path).signatures["serving_default"]
    answer = serve(time=tf.constant(times), value=tf.constant(series[..., 2]))

    expected = network(series).numpy()[:, -1]
    np.testing.assert_allclose(answer["forecast"].numpy(), expected, rtol=1e-5)


def test_an_export_that_differs_is_refused():
    expected = np.array([0.25, 0.75])

    with pytest.raises(
        ExportError, match=r"differs from the live network by 2\.00e-05"
    ):
        check("advance", expected + 2e-5, expected)


def test_an_export_that_is_not_a_number_is_refused():
    with pytest.raises(ExportError, match="differs"):
        check("advance", np.array([np.nan]), np.array([1.0]))


def normalise_nearly_equal():
    """Make a network and events with a variance made of rounding."""
    inputs = keras.Input((None, 4))
    network = keras.Model(inputs, keras.layers.LayerNormalization(epsilon=0)(inputs))
    events = 100 + 1e-4 * np.random.default_rng(0).normal(size=(3, 5, 4))
    return network, events.astype("float32")


def test_what_rounding_does_to_the_network_itself_is_allowed():
    network, events = normalise_nearly_equal()
    outputs = {"kind": "values", "name": "values"}
    live = network(events).numpy()
    moved = network(np.nextafter(events, np.float32(200))).numpy()
    measure = partial(find_slack, network, outputs, "values", events, live)
    assert np.abs(moved - live).max() > 1e-3

    check("advance", moved, live, None, slack=measure)

    with pytest.raises(ExportError, match="differs"):
        check("advance", moved, live, None)
    with pytest.raises(ExportError, match="differs"):
        check("advance", -live, live, None, slack=measure)


def test_export_never_writes_over_a_folder(tmp_path):
    (tmp_path / "1").mkdir()

    with pytest.raises(FileExistsError, match="export writes a new folder"):
        export(tmp_path, networks.EVENTS, networks.LABEL, networks.random_events(1, 4))
