"""Random functional graphs over every layer that `keras.layers` has."""

from __future__ import annotations

import random
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from tests.models.random_layers import (
    CALLS,
    FEATURES,
    NOT_DRAWN,
    VOCABULARY,
    find_layers,
    make_layer,
)

TIMESTEPS = 5
# Of a seed, until Keras builds and runs what was drawn.
ATTEMPTS = 200
STATIC = 2
# Layers of which people make networks for sequences.
PLAUSIBLE = """
LSTM LSTM GRU SimpleRNN Dense Dense TimeDistributed Masking Conv1D Dropout
LayerNormalization BatchNormalization GlobalAveragePooling1D GlobalMaxPooling1D
Activation Add Concatenate Multiply Flatten RepeatVector Reshape
""".split()  # noqa: SIM905
# What authors do with a tensor between layers and after the last.
ARITHMETIC = [
    lambda x: x * 2.0 + 1.0,
    lambda x: x[:, -1],
    lambda x: x[..., 0:1],
    lambda x: keras.ops.mean(x, axis=1),
    lambda x: keras.ops.max(x, axis=1),
    lambda x: 1.0 - x,
    lambda x: keras.ops.where(x > 0.0, x, x / 4.0),
    lambda x: keras.ops.softmax(x),
]


class Graph(NamedTuple):
    """A graph that Keras itself builds and runs.

    Args:
        model: With random weights.
        names: The layers that were drawn.
        is_plausible: Whether people make networks like it.
    """

    model: keras.Model
    names: list[str]
    is_plausible: bool


def find_subjects():
    """List the layers that are drawn."""
    return sorted(set(find_layers()) - set(NOT_DRAWN))


def draw_graph(seed):
    """Draw a graph: every other one plausible, the next about one of all layers.

    Raises:
        LookupError: Keras builds and runs nothing of what was drawn.
    """
    rng = random.Random(seed)
    is_plausible = seed % 2 == 0
    subjects = find_subjects()
    for _ in range(ATTEMPTS):
        names = rng.choices(PLAUSIBLE, k=rng.randint(1, 3))
        if not is_plausible:
            # All layers come up, whichever seeds are tried.
            names[rng.randrange(len(names))] = subjects[seed // 2 * 37 % len(subjects)]
        try:
            model = build(names, 0.02 if is_plausible else 0.06, rng)
            randomise(model, seed)
            results = model(draw_events(model, TIMESTEPS, seed), training=False)
        except Exception:
            continue  # Keras cannot build or run it either
        if all(np.isfinite(x).all() for x in keras.tree.flatten(results)):
            return Graph(model, names, is_plausible)
    raise LookupError(f"no graph of seed {seed} with {names}")


def build(names, oddity, rng):
    """Build a model of layers, one after another and with branches between."""
    inputs, hidden = draw_inputs(rng)
    past = [hidden]
    for name in names:
        hidden = place(find_layers()[name], hidden, past, rng, oddity)
        if rng.random() < 0.1:
            hidden = rng.choice(ARITHMETIC)(hidden)
        past.append(hidden)
    if rng.random() < 0.3:
        hidden = rng.choice(ARITHMETIC)(hidden)
    more = [past[-2]] if rng.random() < 0.1 else []
    return keras.Model(inputs, [hidden, *more] if more else hidden)


def draw_inputs(rng):
    """Draw the inputs of a model, and what the first layer gets of them."""
    kind = rng.choices(["vector", "index", "two", "static"], [6, 2, 1, 1])[0]
    if kind == "index":
        inputs = keras.Input((None,), dtype="int32")
        masks = rng.random() < 0.5
        return inputs, layers.Embedding(VOCABULARY, FEATURES, mask_zero=masks)(inputs)
    timesteps = rng.choice([None, None, TIMESTEPS])
    inputs = keras.Input((timesteps, FEATURES), name="events")
    if kind == "two":
        second = keras.Input((timesteps, 1), name="second")
        return [inputs, second], layers.Concatenate()([inputs, second])
    if kind == "static":
        static = keras.Input((STATIC,), name="static")
        hidden = layers.LSTM(FEATURES)(inputs)
        return [inputs, static], layers.Concatenate()([hidden, static])
    return inputs, inputs


def place(kind, hidden, past, rng, oddity):
    """Call a layer of a class in the first way that Keras takes."""
    order = rng.sample(CALLS, len(CALLS)) if rng.random() < 0.3 else CALLS
    last = None
    for call in order:
        try:
            result = call(
                lambda: make_layer(kind, rng, oddity), hidden, rng.choice(past)
            )
        except Exception as error:
            last = error
            continue
        results = keras.tree.flatten(result)
        return rng.choice(results)
    raise last


def randomise(model, seed):
    """Give a model random weights, no variance below zero."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "float" in weight.dtype:
            values = rng.normal(0, 0.5, weight.shape)
            is_variance = "variance" in weight.path
            weight.assign(np.abs(values) + 0.1 if is_variance else values)


def draw_events(model, count, seed):
    """Draw a sequence for each input of a model: a dict of arrays by its name."""
    rng = np.random.default_rng(seed)
    drawn = {x.name: draw_input(x, count, rng)[None] for x in model.inputs}
    return drawn if len(drawn) > 1 else next(iter(drawn.values()))


def draw_input(tensor, count, rng):
    """Draw a sequence for one input."""
    if tensor.dtype == "int32":
        return rng.integers(0, VOCABULARY, count).astype("int32")
    if len(tensor.shape) == 2:
        return rng.normal(size=tensor.shape[1]).round(3).astype("float32")
    events = rng.normal(size=(count, tensor.shape[2])).round(3).astype("float32")
    events[[0, count // 2]] = 0.0  # masked where the model masks
    return events
