"""Random functional graphs over every layer that `keras.layers` has."""

from __future__ import annotations

import inspect
import random

import keras
import numpy as np
from keras import layers

FEATURES, VOCABULARY = 4, 6
# Values of the parameters that layers insist on, by their names.
VALUES = {
    "units": 3,
    "filters": 4,
    "kernel_size": 2,
    "pool_size": 2,
    "input_dim": VOCABULARY,
    "output_dim": 3,
    "rate": 0.3,
    "stddev": 0.3,
    "n": 2,
    "dims": (1, 2),
    "target_shape": (-1, 2),
    "axes": -1,
    "num_heads": 1,
    "key_dim": 2,
    "head_dim": 2,
    "num_query_heads": 2,
    "num_key_value_heads": 1,
    "scale": 2.0,
    "num_tokens": VOCABULARY,
    "num_bins": 4,
    "activation": "tanh",
    "output_size": 2,
    "output_shape": (None, 3),
    "equation": "abc,cd->abd",
    "groups": 2,
    "max_number": 2,
    "height_factor": 0.1,
    "width_factor": 0.1,
    "height": 4,
    "width": 4,
    "factor": 0.1,
}
# Layers are drawn more often where they decide what streams.
FREQUENT = """
LSTM GRU SimpleRNN Dense TimeDistributed Masking Conv1D Dropout LayerNormalization
GlobalAveragePooling1D GlobalMaxPooling1D Activation Add Concatenate BatchNormalization
Multiply Flatten RepeatVector
""".split()  # noqa: SIM905


def find_layers():
    """Map the name of every layer class that Keras exports to the class."""
    found = vars(layers).items()
    return {
        kind.__name__: kind
        for _, kind in sorted(found)
        if inspect.isclass(kind) and issubclass(kind, layers.Layer)
    }


def make_layer(kind, rng):
    """Make a layer, required parameters from `VALUES`, some others drawn."""
    parameters = inspect.signature(kind.__init__).parameters
    given = {}
    for name, parameter in parameters.items():
        is_named = parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if name != "self" and is_named and parameter.default is parameter.empty:
            given[name] = fill_parameter(kind, name, rng)
    if "return_sequences" in parameters or issubclass(kind, layers.RNN):
        given["return_sequences"] = rng.random() < 0.6
    if kind is layers.Conv1D:
        given["padding"] = rng.choice(["causal", "same", "valid"])
    return kind(**given)


def fill_parameter(kind, name, rng):
    """Choose what a required parameter gets."""
    if name == "layer":
        if kind is layers.Bidirectional:
            return layers.LSTM(3, return_sequences=True)
        inner = [layers.Dense(3), layers.LayerNormalization(), layers.Dropout(0.2)]
        return rng.choice(inner)
    if name == "cell":
        return rng.choice([layers.GRUCell(3), [layers.LSTMCell(2), layers.GRUCell(3)]])
    return VALUES[name]


def draw_graph(seed):
    """Draw a graph that Keras itself builds and runs; None where there is none.

    Returns:
        The model and the names of the layers that were drawn.
    """
    rng = random.Random(seed)
    kinds = find_layers()
    names = [*kinds, *(FREQUENT * 12)]
    is_index = rng.random() < 0.2
    shape = (None,) if is_index else (rng.choice([None, None, 5]), FEATURES)
    inputs = keras.Input(shape, dtype="int32" if is_index else "float32")
    drawn, hidden = [], inputs
    if is_index:
        hidden = layers.Embedding(VOCABULARY, FEATURES, mask_zero=rng.random() < 0.5)(
            inputs
        )
    past = [hidden]
    try:
        for name in rng.choices(names, k=rng.randint(1, 4)):
            layer = make_layer(kinds[name], rng)
            drawn.append(name)
            try:
                hidden = layer(hidden)
            except Exception:
                hidden = layer([hidden, rng.choice(past)])
            past.append(hidden)
        model = keras.Model(inputs, decorate(hidden, rng))
        weights = np.random.default_rng(seed)
        model.set_weights(
            [
                weights.normal(0, 0.5, w.shape).astype(w.dtype)
                for w in model.get_weights()
            ]
        )
        model.predict(draw_events(model, 5, seed)[None], verbose=0)
    except Exception:
        return None  # Keras cannot build or run it either
    return model, drawn


def decorate(hidden, rng):
    """Put arithmetic or a slice after the last layer, as authors do."""
    kind = rng.randrange(6)
    if kind == 0:
        return hidden * 2.0 + 1.0
    if kind == 1 and len(hidden.shape) == 3:
        return hidden[:, -1]
    if kind == 2:
        return hidden[..., 0:1]
    if kind == 3 and len(hidden.shape) == 3:
        return keras.ops.mean(hidden, axis=1)
    return hidden


def draw_events(model, count, seed):
    """Draw events of a model's one input, as arrays (events, ...)."""
    rng = np.random.default_rng(seed)
    if len(model.inputs[0].shape) == 2:
        return rng.integers(0, VOCABULARY, count).astype("int32")
    events = rng.normal(size=(count, FEATURES)).round(3).astype("float32")
    events[[0, count // 2]] = 0.0  # masked where the model masks
    return events
