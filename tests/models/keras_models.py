"""Keras models of many forms: those that can be streamed, and what refuses to be."""

import keras
from keras import layers

from models.peephole import PeepholeLSTMCell

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
