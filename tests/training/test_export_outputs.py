"""Models unlike most: no memory, one number, a further axis, a table, a picture."""

from __future__ import annotations

import pytest
import requests

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

import keras  # noqa: E402
from keras import layers  # noqa: E402

from tests.servers import Server  # noqa: E402
from tests.training.keras_files import FEATURES, save, sequential  # noqa: E402
from training.export_keras import ExportRequest, export_file  # noqa: E402

EVENT = [0.5, 1.0, -2.0]


def make_number():
    inputs = keras.Input((None, FEATURES))
    hidden = layers.Dense(1)(layers.LSTM(3)(inputs))
    return keras.Model(inputs, keras.ops.squeeze(hidden, -1) * 2.0 + 1.0)


def make_pairs():
    inputs = keras.Input((None, FEATURES))
    pairs = layers.Reshape((2, 2))(layers.LSTM(4)(inputs))
    return keras.Model(inputs, layers.Softmax()(pairs))


def make_window():
    return sequential(layers.Bidirectional(layers.LSTM(3)), shape=(4, FEATURES))


def make_pictures():
    """Has a cell with its memory in space."""
    return sequential(
        layers.Reshape((4, FEATURES, 1)),
        layers.ConvLSTM1D(2, 2),
        layers.Flatten(),
        shape=(4, FEATURES),
    )


def make_lookup():
    """Has a table, which is no variable."""
    table = layers.IntegerLookup(vocabulary=[0, 1, -2])
    return sequential(table, layers.Rescaling(0.5), layers.LSTM(3))


def make_switches():
    inputs = keras.Input((None, FEATURES), dtype="bool", name="switches")
    numbers = keras.ops.cast(inputs, "float32")
    return keras.Model(inputs, layers.Dense(2)(layers.GRU(3)(numbers)))


def make_flags():
    numbers = keras.Input((None, FEATURES), name="numbers")
    flag = keras.Input((None, 1), dtype="bool", name="flag")
    joined = layers.Concatenate()([numbers, keras.ops.cast(flag, "float32")])
    return keras.Model([numbers, flag], layers.LSTM(3)(joined))


MODELS = {
    "alone": (lambda: sequential(layers.Dense(2)), {}),
    "number": (make_number, {}),
    "pairs": (make_pairs, {"labels": ["wolf", "dog"]}),
    "window": (make_window, {"window": 4}),
    "pictures": (make_pictures, {"window": 4}),
    "lookup": (make_lookup, {}),
    "switches": (make_switches, {}),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    for name, (make, options) in {**MODELS, "flags": (make_flags, {})}.items():
        order = ExportRequest(
            save(folder, make(), f"{name}.keras"), name, compiled=False, **options
        )
        export_file(order, folder / "artifacts")
    with Server(folder / "artifacts", folder, workers=1) as server:
        yield server


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "row", [{}, {"session": "first"}, {"memory": None}], ids=["none", "ours", "theirs"]
)
def test_every_way_of_memory_is_answered(running, name, row):
    for _ in range(2):
        response = running.predict(name, {"sequence": [EVENT], **row})

        assert response.status_code == 200, response.text


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_explained(running, name):
    body = {"instances": [{"sequence": [EVENT, EVENT]}]}
    response = running.post(name, "explain", body)

    assert response.status_code == 200, response.text


def test_top_and_threshold_follow_the_axes_of_labels(running):
    row = {"sequence": [EVENT, EVENT]}
    options = {"top": 1, "threshold": 0.0, "return": "all"}
    body = {"instances": [row], **options}

    response = running.post("pairs", "predict", body)

    assert response.status_code == 200, response.text
    (answer,) = response.json()["predictions"]
    for k, timestep in enumerate(answer["probabilities"]):
        for j, pair in enumerate(timestep):
            (best,) = answer["top"][k][j]
            assert best["label"] == ["wolf", "dog"][pair.index(max(pair))]
            assert sorted(answer["decided"][k][j]) == ["dog", "wolf"]


def answer(running, name, row):
    response = running.predict(name, row)
    assert response.status_code == 200, response.text
    return response.json()["predictions"]


def test_true_and_false_are_1_and_0_for_inputs_of_bool(running):
    written, counted = [[True, False, True], [False] * 3], [[1, 0, 1], [0] * 3]
    (expected,) = answer(running, "switches", {"switches": counted})

    assert answer(running, "switches", {"switches": written}) == [expected]
    (named,) = answer(running, "switches", {"sequence": written, "session": "mine"})
    assert named["values"] == expected
    tensor = {"name": "sequence", "datatype": "BOOL", "shape": [1, 2, 3]}
    body = {"inputs": [{**tensor, "data": written}]}
    address = f"{running.url}/v2/models/switches/infer"
    response = requests.post(address, json=body, timeout=30)
    assert response.status_code == 200, response.text
    assert response.json()["outputs"][0]["data"] == pytest.approx(expected)


@pytest.mark.parametrize("one", [1, [1], True, [True]], ids=repr)
def test_true_is_refused_for_the_number_next_to_an_input_of_bool(running, one):
    event = {"numbers": EVENT, "flag": [1]}
    expected = answer(running, "flags", {"sequence": [event]})

    taken = answer(running, "flags", {"sequence": [{**event, "flag": one}]})
    wrong = {**event, "numbers": [True, 1, 2]}
    response = running.predict("flags", {"sequence": [wrong]})

    assert taken == expected
    assert response.status_code == 400
    assert "numbers[0] is true; expected a number" in response.text
