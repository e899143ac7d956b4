"""Keras models nobody here built: streamed step by step, or refused with a reason."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models.peephole import PeepholeLSTMCell  # noqa: E402
from models.refusals import CannotStream  # noqa: E402
from models.streaming import stream_network  # noqa: E402

# Float32 rounding over tens of timesteps; an error of logic is a thousand times larger.
TOLERANCE = 1e-5
TIMESTEPS, FEATURES = 9, 4
OUTPUTS = {"kind": "label", "name": "output"}


def sequential(*stack, shape=(None, FEATURES)):
    return keras.Sequential([keras.Input(shape), *stack])


def functional(build, shape=(None, FEATURES)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, build(inputs))


def residual(x):
    return layers.Add()([x, layers.LSTM(FEATURES, return_sequences=True)(x)])


def two_branches(x):
    short = layers.SimpleRNN(3, return_sequences=True)(x)
    long = layers.GRU(5, return_sequences=True)(x)
    return layers.Dense(2)(layers.Concatenate()([short, long]))


def two_last_outputs(x):
    joined = layers.Concatenate(axis=1)([layers.LSTM(3)(x), layers.GRU(5)(x)])
    return layers.Dense(2)(layers.BatchNormalization()(joined))


def arithmetic(x):
    hidden = layers.LSTM(6, return_sequences=True)(x * 2.0)
    return keras.ops.tanh(hidden[..., :3]) + 1.0


def shared_twice(x):
    once = layers.LSTM(FEATURES, return_sequences=True)
    return once(once(x))


def nested(x):
    inner = sequential(layers.GRU(5, return_sequences=True), layers.Dense(3))
    return layers.LSTM(2, return_sequences=True)(inner(x))


class Subclassed(keras.Model):
    """A model of one's own on a functional graph."""


def subclassed(x):
    return layers.Dense(2)(layers.LSTM(3, return_sequences=True)(x))


def make_subclassed():
    inputs = keras.Input((None, FEATURES))
    return Subclassed(inputs, subclassed(inputs))


class Leaky(layers.Layer):
    """A cell of someone's own: an exponential average."""

    state_size = FEATURES
    output_size = FEATURES

    def call(self, inputs, states, training=False):
        average = 0.9 * states[0] + 0.1 * inputs
        return average, [average]


MODELS = {
    "simple rnn": lambda: sequential(layers.SimpleRNN(5, return_sequences=True)),
    "lstm": lambda: sequential(layers.LSTM(5, return_sequences=True)),
    "gru": lambda: sequential(layers.GRU(5, return_sequences=True)),
    "gru reset before": lambda: sequential(
        layers.GRU(5, reset_after=False, return_sequences=True)
    ),
    "last output": lambda: sequential(layers.LSTM(5), layers.Dense(2)),
    "last output, normalised": lambda: sequential(
        layers.LSTM(5),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(2),
    ),
    "last output, reshaped": lambda: sequential(
        layers.LSTM(6), layers.Reshape((2, 3)), layers.Flatten(), layers.Dense(2)
    ),
    "stack": lambda: sequential(
        layers.LSTM(5, return_sequences=True),
        layers.LayerNormalization(),
        layers.Dropout(0.3),
        layers.GRU(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(3, activation="relu")),
        layers.SimpleRNN(3),
        layers.Dense(2, activation="softmax"),
    ),
    "stacked cells": lambda: sequential(
        layers.RNN(
            [layers.LSTMCell(5), layers.GRUCell(4), layers.SimpleRNNCell(3)],
            return_sequences=True,
        )
    ),
    "peephole": lambda: sequential(
        layers.RNN(PeepholeLSTMCell(5), return_sequences=True)
    ),
    "a cell of one's own": lambda: sequential(
        layers.RNN(Leaky(), return_sequences=True)
    ),
    "batch normalisation": lambda: sequential(
        layers.BatchNormalization(), layers.GRU(4, return_sequences=True)
    ),
    "causal convolution": lambda: sequential(
        layers.Conv1D(6, 3, padding="causal", activation="relu"),
        layers.LSTM(5, return_sequences=True),
    ),
    "dilated convolutions": lambda: sequential(
        layers.Conv1D(6, 2, padding="causal", dilation_rate=1),
        layers.Conv1D(6, 2, padding="causal", dilation_rate=2),
        layers.Conv1D(6, 2, padding="causal", dilation_rate=4),
    ),
    "pointwise convolution": lambda: sequential(layers.Conv1D(6, 1)),
    "grouped convolution": lambda: sequential(
        layers.Conv1D(6, 3, padding="causal", groups=2)
    ),
    "masking": lambda: sequential(
        layers.Masking(0.0), layers.LSTM(5, return_sequences=True)
    ),
    "stateful": lambda: keras.Sequential(
        [
            keras.Input(batch_shape=(1, None, FEATURES)),
            layers.LSTM(5, stateful=True, return_sequences=True),
        ]
    ),
    "fixed length": lambda: sequential(
        layers.GRU(5), layers.Dense(2), shape=(TIMESTEPS, FEATURES)
    ),
    "residual": lambda: functional(residual),
    "two branches": lambda: functional(two_branches),
    "two last outputs": lambda: functional(two_last_outputs),
    "arithmetic": lambda: functional(arithmetic),
    "one layer twice": lambda: functional(shared_twice),
    "nested": lambda: functional(nested),
    "subclassed": make_subclassed,
}


def hand_mask_on(x):
    """A mask through Dense, Dropout, LayerNormalization, Add and Concatenate."""
    masked = layers.Masking(0.0)(x)
    hidden = layers.LSTM(4, return_sequences=True)(masked)
    hidden = layers.Dropout(0.2)(layers.LayerNormalization()(layers.Dense(4)(hidden)))
    hidden = layers.Add()([hidden, layers.GRU(4, return_sequences=True)(masked)])
    hidden = layers.Concatenate()([hidden, masked])
    return layers.LSTM(3, return_sequences=True)(hidden)


def pass_mask(x):
    """A mask given by hand."""
    hidden = layers.LSTM(4, return_sequences=True)(x)
    seen = keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1)
    return layers.LSTM(3, return_sequences=True)(hidden, mask=seen)


def keep_states(x):
    output, *states = layers.LSTM(4, return_state=True)(layers.Masking(0.0)(x))
    return layers.Concatenate()([output, *states])


def scale_back(x):
    last = layers.Dense(4)(layers.LSTM(3)(x)) * 3.0 + 2.0
    return keras.ops.where(last > 2.0, 1 - last[:, 0:1] ** 2 / 4, last)


def pick_last(x):
    hidden = layers.LSTM(3, return_sequences=True)(x)
    return layers.Dense(2)(hidden[:, -1]) + x[:, -1, :2]


def reduce_time(x):
    hidden = layers.GRU(FEATURES, return_sequences=True)(x)
    return keras.ops.mean(hidden, axis=1) + keras.ops.max(x, axis=-2)


def in_another_type(policy):
    def build():
        hidden = layers.GRU(4, return_sequences=True, dtype=policy)
        return sequential(hidden, layers.LSTM(3, dtype=policy), layers.Dense(2))

    return build


STREAMING = {
    "mask handed on": lambda: functional(hand_mask_on),
    "mask given": lambda: functional(pass_mask),
    "states": lambda: functional(keep_states),
    "numbers and slices": lambda: functional(scale_back),
    "last timestep": lambda: functional(pick_last),
    "mean and maximum": lambda: functional(reduce_time),
    "average pooling": lambda: sequential(layers.GlobalAveragePooling1D()),
    "maximum pooling": lambda: sequential(layers.GlobalMaxPooling1D(keepdims=True)),
    "TimeDistributed after": lambda: sequential(
        layers.LSTM(4, return_sequences=True), layers.TimeDistributed(layers.Dense(2))
    ),
    "TimeDistributed before": lambda: sequential(
        layers.TimeDistributed(layers.Dense(2)), layers.LSTM(4, return_sequences=True)
    ),
    "TimeDistributed of a model": lambda: sequential(
        layers.TimeDistributed(
            sequential(layers.Reshape((2, 2)), layers.Flatten(), shape=(FEATURES,))
        ),
        layers.LSTM(4, return_sequences=True),
    ),
    "float64": in_another_type("float64"),
}
MODELS |= STREAMING


def randomise(model):
    rng = np.random.default_rng(5)
    model.set_weights(
        [np.abs(rng.normal(0, 0.5, w.shape)) + 0.1 for w in model.get_weights()]
    )
    return model


def zeros(streaming):
    return {k: np.zeros((1, *s), "float32") for k, s in streaming.memory.items()}


def advance(model, sequence, memory):
    tensors = {
        "sequence": np.pad(sequence, [(0, 0), (0, 2)] + [(0, 0)] * (sequence.ndim - 2)),
        "length": np.array([sequence.shape[1]], "int32"),
        **memory,
    }
    results = {name: value.numpy() for name, value in model(tensors).items()}
    return results["output"][:, : sequence.shape[1]], {k: results[k] for k in memory}


def run_whole(model, sequence):
    """Run a model over a sequence; an output per sequence over every prefix of it."""
    if len(model.output_shape) == 3 and model.output_shape[1] is None:
        return model(sequence).numpy()
    prefixes = range(1, sequence.shape[1] + 1)
    return np.stack([model(sequence[:, :t]).numpy() for t in prefixes], axis=1)


def assert_streams(model, sequence):
    streaming = stream_network(model, OUTPUTS)
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()
    expected = run_whole(model, sequence)
    for sizes in ([1] * TIMESTEPS, [4, 5], [TIMESTEPS]):
        memory, parts, start = zeros(streaming), [], 0
        for size in sizes:
            part = sequence[:, start : start + size]
            output, memory = advance(streaming.advance, part, memory)
            parts.append(output)
            start += size
        np.testing.assert_allclose(
            np.concatenate(parts, axis=1), expected, atol=TOLERANCE
        )
    explained, _ = advance(streaming.explain, sequence, zeros(streaming))
    np.testing.assert_array_equal(explained, output)  # of all at once


@pytest.mark.parametrize("name", MODELS)
def test_step_by_step_equals_the_whole_sequence(name):
    model = randomise(MODELS[name]())
    sequence = np.random.default_rng(3).normal(size=(1, TIMESTEPS, FEATURES))
    sequence[:, [0, 4, 5]] = 0.0  # masked where the model masks

    assert_streams(model, sequence.astype("float32"))


@pytest.mark.parametrize("mask_zero", [False, True])
def test_embedded_events_stream_with_and_without_a_mask(mask_zero):
    model = randomise(
        sequential(
            layers.Embedding(7, 5, mask_zero=mask_zero),
            layers.LSTM(4, return_sequences=True),
            layers.Dense(3, activation="softmax"),
            shape=(None,),
        )
    )
    sequence = np.array([[0, 1, 2, 0, 0, 3, 6, 5, 0]], "float32")

    assert_streams(model, sequence)


REFUSED = {
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(4)),
    "begins at the end": lambda: layers.LSTM(4, go_backwards=True),
    "MaxPooling1D": layers.MaxPooling1D,
    "padding='same'": lambda: layers.Conv1D(4, 3, padding="same"),
    "padding='valid'": lambda: layers.Conv1D(4, 3),
    "strides 2": lambda: layers.Conv1D(4, 2, padding="causal", strides=2),
    "Reshape": lambda: layers.Reshape((-1, 2)),
    "Permute": lambda: layers.Permute((2, 1)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_stream_is_refused_by_name_with_a_way_out(words):
    layer = REFUSED[words]()
    layer.name = "culprit"
    model = sequential(layer, shape=(8, FEATURES))

    with pytest.raises(CannotStream) as caught:
        stream_network(model, OUTPUTS)

    sentence = str(caught.value)
    assert words in sentence
    assert "'culprit'" in sentence
    assert sentence.count(". ") >= 1  # the reason, then what to use instead


@pytest.mark.parametrize(
    ("is_causal", "words"), [(False, "have not come yet"), (True, "grow with every")]
)
def test_attention_over_time_is_refused(is_causal, words):
    def attend(x):
        look = layers.MultiHeadAttention(2, 4, name="look")
        return look(x, x, use_causal_mask=is_causal)

    with pytest.raises(CannotStream, match=rf"'look'.*looks at all timesteps.*{words}"):
        stream_network(functional(attend), OUTPUTS)


def test_states_that_begin_another_layer_are_refused():
    def encode(x):
        _, *states = layers.LSTM(4, return_state=True)(x)
        return layers.LSTM(4)(x, initial_state=states)

    with pytest.raises(CannotStream, match="initial_state by a layer on a sequence"):
        stream_network(functional(encode), OUTPUTS)


def test_joining_the_last_output_with_a_sequence_is_refused():
    def join(x):
        return layers.Add(name="join")([x, layers.RepeatVector(9)(layers.LSTM(4)(x))])

    with pytest.raises(CannotStream):
        stream_network(functional(join, (9, FEATURES)), OUTPUTS)
