"""Tables of the how-to on what streams and what cannot: every row is tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

from models.keras_graph import find_graph, find_operations  # noqa: E402
from models.refusals import CannotStream  # noqa: E402
from tests.training.keras_files import randomise  # noqa: E402
from tests.training.test_proof import attempt  # noqa: E402
from training.errors import ModelError  # noqa: E402

HOW_TO = Path(__file__).parents[2] / "docs/how-to/bring-a-keras-model.md"
WINDOW, FEATURES = 4, 4
# It takes pictures in three colours only.
NOT_PLACED = {"AugMix"}


def read_rows(heading):
    """Return the rows of the table that begins so, cells without the first's quotes."""
    section = HOW_TO.read_text().partition("## What streams, and how\n")[2]
    table = section.partition(f"| {heading} |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {cells[0]: cells for cells in rows}


def recurrent(x, **options):
    return layers.GRU(FEATURES, return_sequences=True, **options)(x)


def alone(x):
    hidden = layers.Dropout(0.1)(layers.Dense(FEATURES, activation="tanh")(x))
    hidden = layers.BatchNormalization()(layers.Add()([hidden, x * 2]))
    index = ops.cast(ops.clip(x[..., 0], 0, 3), "int32")
    return layers.Concatenate()([hidden, layers.Embedding(4, 2)(index)])


def cells(x):
    hidden = layers.SimpleRNN(3, return_sequences=True)(layers.LSTM(3, **ALL)(x))
    stack = [layers.LSTMCell(3), layers.GRUCell(2)]
    return layers.RNN(stack, **ALL)(layers.GRU(3, **ALL)(hidden))


def masks(x):
    hidden = recurrent(layers.Masking(0.0)(x))
    seen = ops.any(ops.not_equal(x, 1.0), axis=-1)
    pairs = layers.Multiply()([hidden, x])
    pairs = layers.Maximum()([pairs, layers.Minimum()([hidden, x])])
    index = ops.cast(ops.clip(x[..., 0], 0, 3), "int32")
    looked = recurrent(layers.Embedding(4, FEATURES, mask_zero=True)(index))
    hidden = layers.GRU(FEATURES, **ALL)(pairs, mask=seen)
    return layers.Concatenate()([hidden, looked])


def last(x):
    hidden = recurrent(x)
    return layers.LSTM(2)(x) + hidden[:, -1, :2] + hidden[:, -1:][:, 0, :2]


def after_last(x):
    hidden = layers.Dense(4)(layers.GRU(3)(x)) * 3.0 + 1.0
    hidden = layers.Reshape((4,))(ops.where(hidden > 1, hidden, hidden[:, 0:1]))
    return recurrent(layers.RepeatVector(3)(hidden))


def pool(x):
    poolings = (layers.GlobalAveragePooling1D(), layers.GlobalMaxPooling1D())
    reductions = (ops.mean, ops.sum, ops.max, ops.min)
    results = [layer(x) for layer in poolings]
    return layers.Concatenate()(results + [one(x, axis=1) for one in reductions])


def static(x):
    age = keras.Input((2,), name="age")
    return [x, age], layers.Concatenate()([layers.GRU(2)(x), age])


def static_uses(x):
    age = keras.Input((FEATURES,), name="age")
    repeated = layers.RepeatVector(WINDOW)(age)
    hidden = layers.Concatenate()([x, repeated])
    hidden = layers.Add()([recurrent(hidden), age[:, None]])
    return [x, age], layers.GRU(FEATURES)(hidden, initial_state=age)


def move_features(x):
    hidden = layers.Permute((1, 3, 2))(layers.Reshape((WINDOW, 2, 2))(x))
    hidden = ops.roll(ops.flip(ops.transpose(hidden, (0, 1, 3, 2)), -1), 1, axis=-1)
    return layers.Reshape((WINDOW, FEATURES))(hidden)


def take_words(x):
    words = layers.Embedding(5, 2)
    inner = keras.Sequential([keras.Input((3,)), words, layers.Flatten()])
    indices = keras.Input((None, 3), dtype="int32", name="words")
    return [indices], layers.GRU(2)(layers.TimeDistributed(inner)(indices))


def take_bytes(x):
    bits = keras.Input((None, 2), dtype="bool", name="bits")
    numbers = keras.Input((None, 2), dtype="uint8", name="numbers")
    cast = [ops.cast(one, "float32") for one in (bits, numbers)]
    return [bits, numbers], layers.GRU(2)(layers.Concatenate()(cast) * 0.1)


def single(x):
    event = keras.Input((1, FEATURES), name="event")
    flat = layers.Flatten()(layers.Reshape((1, 2, 2))(event))
    return [event], layers.Dense(2)(flat)


def augment(x):
    pictures = layers.Reshape((WINDOW, 2, 2, 1))(x)
    flipped = layers.TimeDistributed(layers.RandomFlip())(pictures)
    return layers.GRU(2)(layers.Reshape((WINDOW, FEATURES))(flipped))


ALL = {"return_sequences": True}
STREAMS = {
    "Dense, Dropout, activations": alone,
    "LSTM, GRU": cells,
    "a mask": masks,
    "TimeDistributed": lambda x: recurrent(layers.TimeDistributed(layers.Dense(2))(x)),
    "Conv1D": lambda x: layers.Conv1D(2, 3, padding="causal", dilation_rate=2)(x),
    "the first event": lambda x: layers.GRU(2)(x - x[:, 0:1]) + x[:, 0, :2],
    "layers that augment": augment,
    "whole numbers for an": take_words,
    "a last output": last,
    "GlobalAveragePooling1D": pool,
    "anything after": after_last,
    "`return_state=True`": lambda x: list(layers.LSTM(2, return_state=True)(x)),
    "an input without": static,
    "such an input": static_uses,
    "Flatten and Reshape in": single,
    "mixed_float16": lambda x: layers.LSTM(2, dtype="mixed_bfloat16")(
        recurrent(x, dtype="mixed_float16")
    ),
    "float64": lambda x: recurrent(recurrent(x), dtype="float64"),
    "bool outputs": lambda x: layers.GRU(2)(x) > 0,
    "uint8": take_bytes,
    "Lambda": lambda x: layers.Lambda(lambda y: y[:, -1])(recurrent(x)),
    "Reshape, Permute": move_features,
    "no memory": lambda x: layers.Dense(2)(x),
}


def every(*kinds):
    """Make models of one layer each, and of what the layer gives flat."""
    return [lambda x, kind=kind: kind(x) for kind in kinds]


def pictures(x):
    return layers.Conv2D(2, 2)(layers.Reshape((WINDOW, 2, 2))(x))


def begin_elsewhere(x):
    return layers.GRU(2)(x, initial_state=layers.GRU(2)(x))


class ThreeStates(layers.Layer):
    """A cell with more states than a stream carries."""

    state_size, output_size = (2, 2, 2), 2

    def call(self, inputs, states, training=False):
        del training
        return states[0] + inputs[:, :2], states


CANNOT = {
    "Bidirectional": every(
        layers.Bidirectional(layers.LSTM(2)), layers.GRU(2, go_backwards=True)
    ),
    "Attention": [
        lambda x: layers.MultiHeadAttention(2, 2)(x, x),
        lambda x: layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True),
        lambda x: layers.Attention()([x, x]),
    ],
    'Conv1D with `padding="valid"`': every(layers.Conv1D(2, 2)),
    "other timesteps": [lambda x: x[:, 2], lambda x: x[:, -2]],
    "`CategoryEncoding`": [
        lambda x: layers.CategoryEncoding(9, "multi_hot")(
            ops.cast(ops.clip(x, 0, 8), "int32")[..., 0]
        )
    ],
    "MaxPooling1D": every(
        layers.MaxPooling1D(2),
        layers.AveragePooling1D(2),
        layers.Conv1D(2, 2, padding="same"),
        layers.Conv1D(2, 2, padding="causal", strides=2),
        layers.Conv1DTranspose(2, 2),
        layers.SeparableConv1D(2, 2),
        layers.DepthwiseConv1D(2),
    ),
    "Flatten, Reshape": every(
        layers.Flatten(),
        layers.Reshape((2, 8)),
        layers.Permute((2, 1)),
        layers.Cropping1D(1),
        layers.ZeroPadding1D(1),
        layers.UpSampling1D(2),
    ),
    "GroupNormalization": every(
        layers.GroupNormalization(2), layers.LayerNormalization(axis=1)
    ),
    "ConvLSTM1D": [
        lambda x: layers.ConvLSTM1D(2, 2)(layers.Reshape((WINDOW, 2, 2))(x))
    ],
    "layers for pictures": [pictures],
    "an output per sequence": [
        lambda x: layers.Add()([x, layers.RepeatVector(WINDOW)(layers.GRU(4)(x))])
    ],
    "`initial_state=`": [begin_elsewhere],
    "a cell with three": [lambda x: layers.RNN(ThreeStates())(x)],
}


def build(make):
    """Build the model of a row: from its inputs, or from one of vectors."""
    inputs = keras.Input((WINDOW, FEATURES), name="events")
    outputs = make(inputs)
    if isinstance(outputs, tuple):
        inputs, outputs = outputs
    return randomise(keras.Model(inputs, outputs))


def find_row(rows, start):
    """Return the only row that begins so."""
    (cells,) = [cells for key, cells in rows.items() if key.startswith(start)]
    return cells


def find_missing(row, models):
    """List the layers that a row names and that none of its models has."""
    named = {name for name in re.findall(r"\w+", row) if hasattr(layers, name)}
    placed = {
        name
        for model in models
        for name in [
            *find_class_names(model.get_config()),
            *(type(one).__name__ for one in find_operations(find_graph(model))),
        ]
    }
    return named - placed - NOT_PLACED


def find_class_names(config):
    """Find the names of the classes in a configuration, those inside of others too."""
    if isinstance(config, list | tuple):
        return {name for value in config for name in find_class_names(value)}
    if not isinstance(config, dict):
        return set()
    own = {config["class_name"]} if "class_name" in config else set()
    return own | find_class_names(list(config.values()))


@pytest.mark.parametrize(
    ("heading", "trials"), [("in the model", STREAMS), ("cannot stream", CANNOT)]
)
def test_every_row_has_a_trial(heading, trials):
    rows = read_rows(heading)

    assert len(rows) == len(trials)
    assert all(find_row(rows, start) for start in trials)


@pytest.mark.parametrize("start", STREAMS)
def test_what_the_table_says_streams(start):
    (row, *_) = find_row(read_rows("in the model"), start)
    model = build(STREAMS[start])

    assert not find_missing(row, [model])
    assert attempt(model, None)


@pytest.mark.parametrize("start", CANNOT)
def test_what_the_table_says_cannot_is_refused_and_served_as_it_says(start):
    row, _, instead = find_row(read_rows("cannot stream"), start)
    models = [build(make) for make in CANNOT[start]]

    assert not find_missing(row, models)
    for model in models:
        with pytest.raises((CannotStream, ModelError)):
            attempt(model, None)
    if "--window" in instead:
        assert attempt(models[0], WINDOW)
