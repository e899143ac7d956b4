"""Files of Keras 2, TF 1 and TF 2.0 to 2.15 give the numbers that they gave there."""

from __future__ import annotations

import json
import zipfile
from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models.export import FORMS, export_programs  # noqa: E402
from tests.training.keras_files import (  # noqa: E402
    FEATURES,
    export,
    randomise,
    sequential,
)
from tests.training.legacy_layers import (  # noqa: E402
    X,
    assert_same,
    hard_sigmoid,
    load,
    run_gru,
    run_lstm,
    save_old,
    sigmoid,
)
from tests.training.old_files import (  # noqa: E402
    VERSIONS,
    as_a_list,
    make_old,
    without_input_layer,
)
from training import export_keras, legacy_keras  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.load_keras import load_model  # noqa: E402


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize(
    ("layer", "reference"), [("LSTM", run_lstm), ("GRU", run_gru)], ids=["LSTM", "GRU"]
)
def test_hard_sigmoid_of_an_old_file_is_the_old_one(
    tmp_path, version, layer, reference
):
    options = {"reset_after": False} if layer == "GRU" else {}
    model = sequential(
        getattr(layers, layer)(4, recurrent_activation="hard_sigmoid", **options)
    )
    path = save_old(tmp_path, model, version)

    assert_same(load(path)(X), reference(X, *model.get_weights()))


def test_hard_sigmoid_of_a_new_file_stays_the_new_one(tmp_path):
    model = sequential(layers.LSTM(4, recurrent_activation="hard_sigmoid"))
    randomise(model).save(tmp_path / "model.h5")

    assert_same(load(tmp_path / "model.h5")(X), model(X))


def test_exported_old_file_keeps_its_hard_sigmoid(tmp_path, monkeypatch):
    few = partial(export_programs, forms=FORMS[:1])
    monkeypatch.setattr(export_keras, "export_programs", few)
    model = sequential(layers.LSTM(4, recurrent_activation="hard_sigmoid"))
    path = save_old(tmp_path, model)

    assert export(path, tmp_path) == 0
    import tensorflow as tf

    saved = tf.saved_model.load(str(tmp_path / "artifacts/mine/1"))
    (got,) = saved.signatures["serving_default"](sequence=tf.constant(X)).values()
    assert_same(got, run_lstm(X, *model.get_weights()))


def td(inner):
    return layers.TimeDistributed(inner)


MODELS = {
    "plain": lambda: [layers.LSTM(4)],
    "stack": lambda: [
        layers.GRU(5, return_sequences=True),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.LSTM(4),
        layers.Dense(2, activation="softmax"),
    ],
    "leaky": lambda: [layers.Dense(4), layers.LeakyReLU(0.07), layers.SimpleRNN(3)],
    "time distributed": lambda: [
        layers.LSTM(4, return_sequences=True),
        td(layers.Dense(3, activation="tanh")),
    ],
    "bidirectional": lambda: [layers.Bidirectional(layers.LSTM(4))],
    "cells": lambda: [layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])],
    "nested": lambda: [
        sequential(layers.GRU(4, return_sequences=True)),
        layers.LSTM(3),
    ],
}

# The shape of a description, and a version that wrote it so.
SHAPES = {
    "whole": ("2.15.0", lambda config: config),
    "without InputLayer": ("2.2.4-tf", without_input_layer),
    "list": ("2.2.2", as_a_list),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_layers_of_old_files_give_the_numbers_of_their_weights(tmp_path, name, shape):
    model = sequential(*MODELS[name]())
    path = save_old(tmp_path, model, *SHAPES[shape])

    assert_same(load(path)(X), model(X))


def test_functional_graph_of_an_old_file_is_built_again(tmp_path):
    inputs = keras.Input((None, FEATURES), name="events")
    hidden = layers.LSTM(4, return_sequences=True, name="one")(inputs)
    both = layers.Concatenate(name="join")([hidden, inputs])
    model = keras.Model(inputs, layers.GRU(2, name="two")(both))

    def change(config):
        for layer in config["config"]["layers"]:
            feeds = {"one": ["x"], "join": ["one", "x"], "two": ["join"]}
            names = ["events" if n == "x" else n for n in feeds.get(layer["name"], [])]
            layer["inbound_nodes"] = [[[n, 0, 0, {}] for n in names]] if names else []
        config["config"]["input_layers"] = [["events", 0, 0]]
        config["config"]["output_layers"] = [["two", 0, 0]]
        return config

    path = save_old(tmp_path, model, "2.4.0", change)

    assert_same(load(path)(X), model(X))


def test_graph_of_an_old_file_may_have_calls_as_keras_3_writes_them(tmp_path):
    inputs = keras.Input((None, FEATURES))
    hidden = sequential(layers.LSTM(4, return_sequences=True))(inputs)
    model = keras.Model(inputs, layers.Concatenate()([hidden, inputs]))

    path = save_old(tmp_path, model, "2.15.0")

    assert_same(load(path)(X), model(X))


def test_file_of_keras_core_is_one_of_keras_3(tmp_path):
    gates = {"recurrent_activation": "hard_sigmoid"}
    model = randomise(sequential(layers.LSTM(4, **gates)))
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "core.keras", "w") as core,
    ):
        config = new.read("config.json").replace(b'"keras.', b'"keras_core.')
        core.writestr("config.json", config.replace(b'"keras"', b'"keras_core"'))
        core.writestr("metadata.json", json.dumps({"keras_version": "0.1.7"}))
        core.writestr("model.weights.h5", new.read("model.weights.h5"))

    assert_same(load(tmp_path / "core.keras")(X), model(X))


@pytest.mark.parametrize("name", ["model.keras", "model.KERAS", "model.h5", "model"])
@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_first_bytes_decide_the_kind_of_file(tmp_path, kind, name):
    model = randomise(sequential(layers.LSTM(4)))
    model.save(tmp_path / f"saved.{kind}")
    path = (tmp_path / f"saved.{kind}").rename(tmp_path / name)

    assert_same(load(path)(X), model(X))


def test_archive_of_tf_2_15_is_translated_too(tmp_path):
    model = randomise(sequential(layers.LSTM(4, recurrent_activation="hard_sigmoid")))
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        config = json.loads(new.read("config.json"))
        old.writestr("config.json", json.dumps(make_old(config, "2.15.0")))
        old.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        old.writestr("model.weights.h5", new.read("model.weights.h5"))

    got = load(tmp_path / "old.keras")(X)

    assert_same(got, run_lstm(X, *model.get_weights()))


def test_gru_without_reset_after_has_the_old_default(tmp_path):
    def change(config):
        del config["config"]["layers"][1]["config"]["reset_after"]
        return config

    model = sequential(layers.GRU(4, reset_after=False))
    path = save_old(tmp_path, model, "2.1.6", change)

    assert_same(load(path)(X), model(X))


def relu_above(x, threshold):
    return np.where(x > threshold, x, 0.0)


# What each layer of a Keras 2 file computes, from the documentation of Keras 2.
DEFINED = {
    "LeakyReLU": ({}, lambda x: np.where(x > 0, x, 0.3 * x)),
    "LeakyReLU 0.07": ({"alpha": 0.07}, lambda x: np.where(x > 0, x, 0.07 * x)),
    "ThresholdedReLU": ({}, lambda x: relu_above(x, 1.0)),
    "ThresholdedReLU 0.5": ({"theta": 0.5}, lambda x: relu_above(x, 0.5)),
    "Activation": ({"activation": "hard_sigmoid"}, hard_sigmoid),
    "Activation swish": ({"activation": "swish"}, lambda x: x * sigmoid(x)),
    "SpatialDropout1D": ({"rate": 0.3, "noise_shape": None, "seed": 1}, lambda x: x),
    "ELU": ({"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1))),
    "ReLU": (
        {"max_value": 1.0, "threshold": 0.2},
        lambda x: np.clip(np.where(x >= 0.2, x, 0.0), None, 1.0),
    ),
    "BatchNormalization": (
        {"axis": [2], "epsilon": 0.001, "renorm": False, "fused": None},
        lambda x: x / np.sqrt(1.001),
    ),
    "LayerNormalization": (
        {"axis": [2], "epsilon": 0.001},
        lambda x: (
            (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.001)
        ),
    ),
}


@pytest.mark.parametrize("case", DEFINED)
def test_layers_of_keras_2_compute_what_it_documents(case):
    options, define = DEFINED[case]
    config = {"class_name": case.split()[0], "config": {"name": "one", **options}}

    layer = keras.saving.deserialize_keras_object(
        legacy_keras.translate(config, is_legacy=True)
    )

    assert_same(layer(X), define(X.astype("float64")))


def set_option(key, value):
    def change(config):
        config["config"]["layers"][1]["config"][key] = value
        return config

    return change


REFUSED = {
    "time_major": (set_option("time_major", True), "time_major = True"),
    "Keras 1": (set_option("inner_activation", "tanh"), "Keras 1"),
    "activation": (set_option("activation", "wobble"), "'wobble'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_rule_translates_is_refused(tmp_path, case):
    change, words = REFUSED[case]
    path = save_old(tmp_path, sequential(layers.LSTM(4)), "2.2.4", change)

    with pytest.raises(ModelError) as caught:
        load(path)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "options", "words"),
    [
        ("BatchNormalization", {"renorm": True}, "renorm = True"),
        ("UpSampling2D", {"interpolation": "bilinear"}, "'bilinear'"),
    ],
)
def test_layer_that_computes_otherwise_in_keras_3_is_refused(layer, options, words):
    config = {"class_name": layer, "config": {"name": "one", **options}}

    with pytest.raises(ModelError, match=f"layer 'one' .*{words}"):
        legacy_keras.translate(config, is_legacy=True)


def test_every_rule_of_a_layer_names_one_that_old_files_have():
    known = set(dir(layers)) | set(legacy_keras.RENAMED)
    assert set(legacy_keras.RULES) <= known | {"ThresholdedReLU"}


def set_lambda(code):
    """Put a Lambda as Keras 2 wrote it in the place of the first layer."""

    def change(config):
        function = [code, None, None]
        options = {"name": "code", "function": function, "function_type": "lambda"}
        config["config"]["layers"][1] = {"class_name": "Lambda", "config": options}
        return config

    return change


OLD_BYTECODE = "4wEAAAAAAAAA\n"


@pytest.mark.parametrize(
    ("allow_code", "words"), [(False, "Give --allow-code"), (True, "another version")]
)
def test_lambda_of_an_old_file_is_code(tmp_path, allow_code, words):
    model = sequential(layers.Rescaling(1.0), layers.LSTM(4))
    path = save_old(tmp_path, model, "2.2.4", set_lambda(OLD_BYTECODE))

    with pytest.raises(ModelError, match=words):
        load_model(path, allow_code=allow_code)
