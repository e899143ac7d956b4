"""Mixed records as a SavedModel: parsed, loaded and carried without our code."""

import json
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from models.export import export_network  # noqa: E402
from models.export.verification import random_sequence  # noqa: E402
from service.registry.encoding.events import build_encoder  # noqa: E402
from tests import networks  # noqa: E402

# Float32 rounding, relative to values around 20.
TOLERANCE = 1e-5
OUTPUTS = networks.QUANTILES
OPTIONS = {"embedding": 3, "cell": "peephole", "dropout": 0.2, "layer_norm": True}

# A clean process with TensorFlow and nothing of ours on its path.
PLAIN_LOAD = """
import json, sys
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
fields = json.loads(sys.argv[2])
out = loaded.signatures["serving_default"](
    **{name: tf.constant([values]) for name, values in fields.items()}
)
assert not any(name.split(".")[0] in ("models", "training", "service")
               for name in sys.modules), "our code was imported"
print(json.dumps(out["forecast"].numpy().tolist()))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Export a network of every new kind; return it, its folder and its memory."""
    network = networks.build(networks.SHOP, OUTPUTS, **OPTIONS)
    path = tmp_path_factory.mktemp("shop") / "1"
    real = networks.shop_visits(2, 12)
    memory = export_network(network, networks.SHOP, OUTPUTS, path, real=real)
    return network, path, memory


def visits(count):
    """Make records as a client writes them."""
    rng = np.random.default_rng(3)
    start = datetime(2024, 2, 28, 22)
    return [
        {
            "weather": str(rng.choice(["rain", "sun", "snow"])),
            "time": (start + timedelta(minutes=47 * k)).isoformat(),
            "value": float(np.float32(rng.normal(20, 5))),
            "door": str(rng.choice(["open", "shut"])),
            "guests": float(rng.integers(0, 9)),
        }
        for k in range(count)
    ]


def by_field(records):
    return {name: [record[name] for record in records] for name in records[0]}


def test_clean_process_answers_records_as_the_service_does(exported):
    network, path, _ = exported
    records = visits(9)
    encoder = build_encoder(networks.SHOP, max_events=50)

    done = subprocess.run(
        [sys.executable, "-c", PLAIN_LOAD, path, json.dumps(by_field(records))],
        cwd=path,
        capture_output=True,
        text=True,
        check=True,
    )

    (forecast,) = json.loads(done.stdout)
    expected = network(encoder.encode(records)[None]).numpy()[0, -1]
    assert np.shape(forecast) == (3, 3)
    np.testing.assert_allclose(forecast, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_serving_default_takes_a_tensor_of_each_field(exported):
    import tensorflow as tf

    _, path, _ = exported

    serve = tf.saved_model.load(path).signatures["serving_default"]

    specs = serve.structured_input_signature[1]
    assert {name: spec.dtype.name for name, spec in specs.items()} == {
        "weather": "string",
        "time": "string",
        "value": "float32",
        "door": "string",
        "guests": "float32",
    }


def test_unknown_category_fails_the_call_and_names_its_field(exported):
    import tensorflow as tf

    _, path, _ = exported
    serve = tf.saved_model.load(path).signatures["serving_default"]
    fields = by_field([{**visits(1)[0], "door": "ajar"}])

    with pytest.raises(tf.errors.InvalidArgumentError, match="a door is not in the"):
        serve(**{name: tf.constant([values]) for name, values in fields.items()})


def test_time_of_the_previous_event_is_memory(exported):
    _, _, memory = exported

    sizes = {name: size for name, size in memory.items() if "_term_" not in name}

    assert list(sizes.values()) == [[3]]  # day, second, and that there was one


def test_random_sequences_hold_every_name_of_a_category():
    rng = np.random.default_rng(0)

    drawn = random_sequence(networks.SHOP, 3, 17, rng)

    assert drawn.shape == (3, 17, 6)
    assert set(drawn[..., 0].ravel()) == {0, 1, 2}
    assert set(drawn[..., 4].ravel()) == {0, 1}
