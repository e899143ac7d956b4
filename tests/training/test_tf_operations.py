"""Operations of TensorFlow in files of TF 2.x give TensorFlow's own numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from tests.training.keras_files import FEATURES, sequential  # noqa: E402
from tests.training.legacy_layers import X, assert_same, load, save_old  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.legacy_keras import translate  # noqa: E402
from training.tf_operations import RULES  # noqa: E402

# Further arguments of functions that need some, or are worth trying with.
ARGUMENTS = {
    "clip_by_value": {"clip_value_min": -0.5, "clip_value_max": 1.0},
    "concat": {"axis": -1},
    "split": {"num_or_size_splits": [1, 2], "axis": -1},
    "expand_dims": {"axis": 1},
    "transpose": {"perm": [0, 2, 1]},
    "reshape": {"shape": [-1, FEATURES]},
    "cast": {"dtype": "int32"},
    "one_hot": {"depth": 3},
    "math.l2_normalize": {"axis": -1},
    "math.cumsum": {"axis": 1},
    "nn.leaky_relu": {"alpha": 0.1},
    "tile": {"multiples": [1, 2, 1]},
    "repeat": {"repeats": 2, "axis": 1},
    "linalg.matmul": {"transpose_b": True},
    "matmul": {"transpose_b": True},
}
# Take whole numbers, or conditions.
OTHERS = ("one_hot", "where", "math.reduce_any", "math.reduce_all")
OTHERS += ("math.logical_and", "math.logical_or", "math.logical_not")
REDUCE = {"axis": 1, "keepdims": True}


def describe(function, node, class_name="TFOpLambda"):
    """Write a model of one operation as TF 2.15 does."""
    inputs = {
        "class_name": "InputLayer",
        "name": "x",
        "config": {"batch_input_shape": [None, 7, FEATURES], "name": "x"},
        "inbound_nodes": [],
    }
    operation = {
        "class_name": class_name,
        "name": "operation",
        "config": {"name": "operation", "function": function},
        "inbound_nodes": [node],
    }
    config = {
        "name": "model",
        "layers": [inputs, operation],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["operation", 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def revive(config):
    described = translate(config, is_legacy=True)
    return keras.saving.deserialize_keras_object(described)


def find_function(name):
    found = tf
    for part in name.split("."):
        found = getattr(found, part)
    return found


FUNCTIONS = [
    name
    for name in RULES
    if name not in OTHERS and not name.startswith("__operators__")
]


CALLS = [
    (name, REDUCE if name.startswith("math.reduce_") else ARGUMENTS.get(name, {}))
    for name in FUNCTIONS
]
# Once more without arguments, where TensorFlow's defaults are not Keras's.
CALLS += [("nn.leaky_relu", {}), ("math.cumsum", {})]


@pytest.mark.parametrize(("name", "given"), CALLS)
def test_every_rule_gives_the_numbers_of_its_function(name, given):
    rule = RULES[name]
    first, *others = rule.tensors
    written = {**given, **{other: ["x", 0, 0] for other in others}}
    node = ["x", 0, 0, {**written, "name": None}]
    if first == "values":
        node = [["x", 0, 0, given], ["x", 0, 0, given]]
    model = revive(describe(name, node))
    tensor = tf.constant(np.abs(X) if "log" in name or "sqrt" in name else X)
    expected = find_function(name)(
        **{first: [tensor, tensor] if first == "values" else tensor},
        **dict.fromkeys(others, tensor),
        **given,
    )

    got = model(tensor)

    expected = expected[0] if isinstance(expected, list) else expected
    assert_same(tf.cast(got, "float32"), tf.cast(expected, "float32"))


SLICES = {
    "last": ([{"start": None, "stop": None, "step": None}, -1], np.s_[:, -1]),
    "features": (
        [{"class_name": "__ellipsis__"}, {"start": 0, "stop": 2, "step": None}],
        np.s_[..., 0:2],
    ),
    "axis": ([{"class_name": "__ellipsis__"}, None], np.s_[..., None]),
}


@pytest.mark.parametrize("case", SLICES)
def test_slices_take_what_they_took(case):
    key, same = SLICES[case]
    node = ["x", 0, 0, {"slice_spec": key}]

    model = revive(describe("__operators__.getitem", node, "SlicingOpLambda"))

    assert_same(model(X), X[same])


CONSTANTS = {
    "number": (["x", 0, 0, {"y": 2.0, "name": None}], X * 2.0),
    "list": (["x", 0, 0, {"y": [1.0, 2.0, 3.0]}], X * [1.0, 2.0, 3.0]),
    "first": (["_CONSTANT_VALUE", -1, 3.0, {"y": ["x", 0, 0]}], 3.0 * X),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_constants_are_operands_too(case):
    node, expected = CONSTANTS[case]

    assert_same(revive(describe("math.multiply", node))(X), expected)


UNKNOWN = {
    "function": ("image.resize", {}, "tf.image.resize"),
    "argument": ("math.cumsum", {"axis": 1, "reverse": True}, "reverse = True"),
    "computed": ("reshape", {"shape": [["x", 0, 0], 2]}, "computed"),
    "missing": ("math.add", {}, "no counterpart"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_operation_without_a_rule_is_refused_by_name(case):
    function, given, words = UNKNOWN[case]

    with pytest.raises(ModelError) as caught:
        revive(describe(function, ["x", 0, 0, given]))

    assert words in str(caught.value)
    assert "'operation'" in str(caught.value)


def add_operations(config):
    """Write `where(y > 0, y, 0.1 * y)[:, -1]` after the last layer of a model."""
    every = {"start": None, "stop": None, "step": None}
    operations = [
        ("above", "math.greater", "hidden", {"y": 0.0}),
        ("tenth", "math.multiply", "hidden", {"y": 0.1}),
        (
            "leaky",
            "where",
            "above",
            {"x": ["hidden", 0, 0], "y": ["tenth", 0, 0]},
        ),
        ("last", "__operators__.getitem", "leaky", {"slice_spec": [every, -1]}),
    ]
    for name, function, given, named in operations:
        kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
        config["config"]["layers"].append(
            {
                "class_name": kind,
                "name": name,
                "config": {"name": name, "function": function},
                "inbound_nodes": [[given, 0, 0, named]],
            }
        )
    first, hidden = config["config"]["layers"][:2]
    first["inbound_nodes"], hidden["inbound_nodes"] = [], [[[first["name"], 0, 0, {}]]]
    config["config"]["input_layers"] = [[first["name"], 0, 0]]
    config["config"]["output_layers"] = [["last", 0, 0]]
    return config


def make_recurrent():
    inputs = keras.Input((None, FEATURES))
    hidden = layers.LSTM(4, return_sequences=True, name="hidden")(inputs)
    return keras.Model(inputs, hidden)


def test_operations_of_a_file_follow_its_layers(tmp_path):
    model = make_recurrent()
    path = save_old(tmp_path, model, "2.15.0", add_operations)
    hidden = keras.ops.convert_to_numpy(model(X))[:, -1]

    assert_same(load(path)(X), np.where(hidden > 0, hidden, 0.1 * hidden))


def test_states_of_an_old_decoder_are_given_by_name(tmp_path):
    inputs = keras.Input((None, FEATURES), name="events")
    states = [keras.Input((4,), name=name) for name in ("h", "c")]
    hidden = layers.LSTM(4, name="hidden")(inputs, initial_state=states)
    model = keras.Model([inputs, *states], hidden)

    def change(config):
        for layer in config["config"]["layers"]:
            layer["inbound_nodes"] = []
        given = [[name, 0, 0, {}] for name in ("events", "h", "c")]
        config["config"]["layers"][-1]["inbound_nodes"] = [given]
        config["config"]["input_layers"] = [part[:3] for part in given]
        config["config"]["output_layers"] = [["hidden", 0, 0]]
        return config

    path = save_old(tmp_path, model, "2.15.0", change)
    given = [X, *(np.full((3, 4), value, "float32") for value in (0.5, -1.0))]

    assert_same(load(path)(given), model(given))


def test_second_call_of_a_nested_model_is_found(tmp_path):
    inner = sequential(layers.Dense(FEATURES), shape=(None, FEATURES))
    inner.name = "inner"
    inputs = keras.Input((None, FEATURES), name="events")
    model = keras.Model(inputs, layers.LSTM(2, name="last")(inner(inner(inputs))))

    def change(config):
        # Keras 2 counts the call inside of a nested model as its first.
        nodes = {"inner": [["events", 0, 0, {}], ["inner", 1, 0, {}]]}
        nodes["last"] = [["inner", 2, 0, {}]]
        for layer in config["config"]["layers"]:
            calls = nodes.get(layer["name"], [])
            layer["inbound_nodes"] = [[call] for call in calls]
        config["config"]["input_layers"] = [["events", 0, 0]]
        config["config"]["output_layers"] = [["last", 0, 0]]
        return config

    path = save_old(tmp_path, model, "2.9.0", change)

    assert_same(load(path)(X), model(X))


def test_embedding_of_an_old_file_is_not_taken_for_keras_1(tmp_path):
    model = sequential(layers.Embedding(5, 4), layers.GRU(3), shape=(None,))
    path = save_old(tmp_path, model, "2.11.0")
    indices = np.array([[0, 3, 4], [1, 1, 2]])

    assert_same(load(path)(indices), model(indices))
