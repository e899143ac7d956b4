"""Keras files of one's own, exported as a user would and served as they are."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models.export import FORMS, export_programs  # noqa: E402
from tests.servers import Server  # noqa: E402
from tests.training.keras_files import (  # noqa: E402
    EVENTS,
    FEATURES,
    NAMES,
    export,
    make_next_event,
    save,
    sequential,
)
from training import export_keras  # noqa: E402
from training.export_keras import ExportRequest, export_file  # noqa: E402

# Float32 rounding; what the service promises between any two ways of sending.
TOLERANCE = 1e-5
TIMESTEPS = 12


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """A model class of one's own on a functional graph."""


def make_two_inputs_and_outputs():
    sensors = keras.Input((None, FEATURES), name="sensors")
    machine = keras.Input((None,), dtype="int32", name="machine")
    joined = layers.Concatenate()([sensors, layers.Embedding(9, 2)(machine)])
    hidden = layers.GRU(6, return_sequences=True)(joined)
    wear = layers.Dense(2, name="wear")(hidden)
    fault = layers.Dense(1, activation="sigmoid", name="fault")(hidden)
    return keras.Model([sensors, machine], [wear, fault])


def make_stateful():
    return keras.Sequential(
        [
            keras.Input(batch_shape=(2, 1, FEATURES)),
            layers.LSTM(5, stateful=True),
            layers.Dense(2),
        ]
    )


def make_subclassed():
    inputs = keras.Input((None, FEATURES))
    hidden = layers.SimpleRNN(4, return_sequences=True)(inputs * 2.0)
    return Subclassed(inputs, keras.ops.tanh(hidden[..., :2]) + 1.0)


def make_nested():
    inputs = keras.Input((None, FEATURES))
    inner = sequential(layers.GRU(FEATURES, return_sequences=True, name="same"))
    return keras.Model(inputs, layers.LSTM(4, name="same")(inner(inputs)))


MODELS = {
    "next": make_next_event,
    "two": make_two_inputs_and_outputs,
    "lstm": lambda: sequential(layers.LSTM(5, return_sequences=True)),
    "last": lambda: sequential(layers.LSTM(5), layers.Dense(2)),
    "stateful": make_stateful,
    "subclassed": make_subclassed,
    "nested": make_nested,
    "scalar": lambda: sequential(layers.LSTM(4), layers.Dense(1), shape=(None, 1)),
}


def read_manifest(version):
    path = version / "assets.extra/carryover/manifest.json"
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Every model of `MODELS` exported under its name, and the files they are from."""
    folder = tmp_path_factory.mktemp("published")
    paths = {n: save(folder, make(), f"{n}.keras") for n, make in MODELS.items()}
    for name, path in paths.items():
        names = NAMES if name == "next" else None
        task = "next_event" if names else None
        order = ExportRequest(path, name, events=names, task=task, compiled=False)
        export_file(order, folder / "artifacts")
    return folder / "artifacts", paths


@pytest.fixture(scope="module")
def running(published, tmp_path_factory):
    """A service with all of them; nothing here is about a second worker."""
    home = tmp_path_factory.mktemp("home")
    with Server(published[0], home, workers=1) as server:
        yield server


def draw_vectors(size):
    rng = np.random.default_rng(3)
    return rng.normal(size=(TIMESTEPS, size)).round(3).astype("float32")


def send_singly(server, name, events):
    """Send one event a request on a session; the answers."""
    answers = []
    for event in events:
        response = server.predict(name, {"sequence": [event], "session": "single"})
        assert response.status_code == 200, response.text
        answers += response.json()["predictions"]
    return answers


def load(published, name):
    return keras.saving.load_model(published[1][name], compile=False)


def predict_prefixes(model, sequence):
    """Run a model with one output per sequence over every prefix."""
    prefixes = range(1, sequence.shape[1] + 1)
    return np.concatenate([model.predict(sequence[:, :t], verbose=0) for t in prefixes])


@pytest.mark.server
def test_single_events_on_a_session_equal_predict_on_the_whole(running, published):
    indices = np.random.default_rng(3).integers(0, EVENTS, (1, TIMESTEPS))
    expected = load(published, "next").predict(indices, verbose=0)[0]

    answers = send_singly(running, "next", [NAMES[k] for k in indices[0]])

    got = [answer["probabilities"] for answer in answers]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)
    surprise = [answer["surprise"][0] for answer in answers]
    exact = -np.log(expected[np.arange(TIMESTEPS - 1), indices[0, 1:]])
    assert surprise[0] is None
    np.testing.assert_allclose(surprise[1:], exact, atol=TOLERANCE)


@pytest.mark.server
@pytest.mark.parametrize("name", ["lstm", "subclassed"])
def test_single_vectors_equal_predict_on_the_whole(running, published, name):
    vectors = draw_vectors(FEATURES)
    expected = load(published, name).predict(vectors[None], verbose=0)[0]

    answers = send_singly(running, name, vectors.tolist())

    got = [answer["values"] for answer in answers]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.server
@pytest.mark.parametrize(("name", "size"), [("last", 3), ("nested", 3), ("scalar", 1)])
def test_each_answer_is_the_whole_model_on_the_events_so_far(
    running, published, name, size
):
    vectors = draw_vectors(size)
    expected = predict_prefixes(load(published, name), vectors[None])
    events = vectors[:, 0].tolist() if size == 1 else vectors.tolist()

    answers = send_singly(running, name, events)

    got = [answer["values"] for answer in answers]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.server
def test_stateful_model_remembers_a_session_as_it_did_its_batch(running, published):
    vectors = draw_vectors(FEATURES)
    model = load(published, "stateful")
    expected = [
        model.predict(np.stack([v[None], v[None]]), verbose=0)[0] for v in vectors
    ]

    answers = send_singly(running, "stateful", vectors.tolist())

    got = [answer["values"] for answer in answers]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.server
def test_several_inputs_are_a_record_and_several_outputs_an_object(running, published):
    vectors = draw_vectors(FEATURES)
    machines = np.arange(TIMESTEPS) % 9
    model = load(published, "two")
    wear, fault = model.predict([vectors[None], machines[None]], verbose=0)
    events = [
        {"sensors": vector.tolist(), "machine": int(machine)}
        for vector, machine in zip(vectors, machines, strict=True)
    ]

    answers = send_singly(running, "two", events)
    bare = running.predict("two", events).json()["predictions"]

    got = {name: [answer[name] for answer in answers] for name in ("wear", "fault")}
    np.testing.assert_allclose(got["wear"], wear[0], atol=TOLERANCE)
    np.testing.assert_allclose(got["fault"], fault[0], atol=TOLERANCE)
    assert bare[0].keys() == {"wear", "fault"}
    np.testing.assert_allclose(bare[0]["wear"], wear[0, -1], atol=TOLERANCE)


def test_serving_default_takes_what_a_record_holds(published):
    import tensorflow as tf

    vectors, machines = draw_vectors(FEATURES), np.arange(TIMESTEPS) % 9
    loaded = tf.saved_model.load(str(published[0] / "two" / "1"))
    wear, _ = load(published, "two").predict([vectors[None], machines[None]], verbose=0)

    answer = loaded.signatures["serving_default"](
        sensors=tf.constant(vectors[None]),
        machine=tf.constant(machines[None], tf.int32),
    )

    assert set(answer) == {"wear", "fault"}
    np.testing.assert_allclose(answer["wear"][0], wear[0, -1], atol=TOLERANCE)


def test_serving_default_of_one_output_per_sequence_is_the_model_itself(published):
    import tensorflow as tf

    vectors = draw_vectors(FEATURES)[None]
    loaded = tf.saved_model.load(str(published[0] / "last" / "1"))

    answer = loaded.signatures["serving_default"](sequence=tf.constant(vectors))

    expected = load(published, "last").predict(vectors, verbose=0)
    np.testing.assert_allclose(answer["values"], expected, atol=TOLERANCE)


def test_manifest_says_what_the_model_takes_and_where_it_is_from(published):
    manifest = read_manifest(published[0] / "two" / "1")

    assert manifest["input"]["fields"] == [
        {"name": "sensors", "type": "vector", "size": 3},
        {"name": "machine", "type": "index", "size": 9},
    ]
    assert manifest["output"] == {"kind": "values", "name": "wear", "others": ["fault"]}
    assert (manifest["cell"], manifest["units"]) == ("gru", [6])
    assert manifest["memory"] == {"short_term_0": [6]}
    assert manifest["training"]["file"] == "two.keras"


def test_h5_file_is_exported_with_programs_and_a_call_to_try(
    tmp_path, capsys, monkeypatch
):
    few = partial(export_programs, forms=FORMS[:1])  # of any: not how many
    monkeypatch.setattr(export_keras, "export_programs", few)
    model = sequential(layers.LSTM(4, name="recall"))
    path = save(tmp_path, model, "model.h5")

    status = export(path, tmp_path)

    printed = capsys.readouterr().out
    assert status == 0
    assert f"version  {tmp_path / 'artifacts' / 'mine' / '1'}" in printed
    assert "recall (LSTM)" in printed
    assert "short_term_0 [4], long_term_0 [4]" in printed
    assert "/v1/models/mine:predict" in printed
    manifest = read_manifest(tmp_path / "artifacts" / "mine" / "1")
    assert manifest["input"] == {"kind": "vector", "size": 3}
    assert manifest["programs"]


def test_code_in_the_file_runs_only_when_it_is_allowed(tmp_path, capsys):
    path = save(
        tmp_path,
        sequential(
            layers.Lambda(lambda x: x * 2, output_shape=(None, 3)), layers.GRU(4)
        ),
    )

    refused = export(path, tmp_path)
    order = ExportRequest(path, "mine", allow_code=True, compiled=False)
    version = export_file(order, tmp_path / "artifacts")

    assert refused == 2
    assert "--allow-code" in capsys.readouterr().err
    assert version.name == "1"


def test_lambda_of_a_keras_function_is_code_too(tmp_path, capsys):
    path = save(tmp_path, sequential(layers.Lambda(keras.ops.tanh), layers.GRU(4)))

    assert export(path, tmp_path) == 2
    assert "(Lambda)" in capsys.readouterr().err


def test_one_hot_input_takes_names(tmp_path):
    path = save(tmp_path, sequential(layers.LSTM(4), layers.Softmax()))

    order = ExportRequest(
        path,
        "mine",
        events=["red", "green", "blue"],
        labels=list("abcd"),
        compiled=False,
    )
    version = export_file(order, tmp_path)

    manifest = read_manifest(version)
    assert manifest["input"] == {
        "kind": "event",
        "vocabulary": ["red", "green", "blue"],
    }
    assert manifest["output"]["labels"] == list("abcd")


def test_export_warns_where_the_service_will_need_tensorflow(tmp_path, capsys):
    # LiteRT has no counterpart for the inverse hyperbolic sine.
    inputs = keras.Input((None, FEATURES))
    hidden = keras.layers.LSTM(2, return_sequences=True)(inputs)
    path = save(tmp_path, keras.Model(inputs, keras.ops.arcsinh(hidden)))

    assert export(path, tmp_path) == 0

    printed = capsys.readouterr().out
    assert "programs not compiled: " in printed
    assert "0 compiled" not in printed
    assert "LiteRT has no counterpart for tf.Asinh" in printed
    assert "the service needs TensorFlow to serve this version" in printed
    assert "mlir" not in printed.lower()
