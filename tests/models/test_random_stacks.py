"""Whole == step by step == random chunks, for stacks of layers drawn at random."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from keras import layers  # noqa: E402

from models.peephole import PeepholeLSTMCell  # noqa: E402
from models.streaming import stream_network  # noqa: E402

# Float32 rounding over a few timesteps and up to four layers.
TOLERANCE = 1e-5
OUTPUTS = {"kind": "values", "name": "output"}
FEATURES, MAX_LENGTH = 3, 6
# A stack is built, traced and run in about a second; these fit in half a minute of CI.
EXAMPLES = 16


def recurrent(kind):
    return lambda size: kind(size, return_sequences=True)


def residual(size):
    """A block that adds what its LSTM says to what it was given."""

    def block(x):
        hidden = layers.LSTM(size, return_sequences=True)(x)
        return layers.Add()([layers.Dense(size)(x), hidden])

    return block


LAYERS = {
    "simple rnn": recurrent(layers.SimpleRNN),
    "lstm": recurrent(layers.LSTM),
    "gru": recurrent(layers.GRU),
    "gru, reset before": lambda size: layers.GRU(
        size, reset_after=False, return_sequences=True
    ),
    "peephole": lambda size: layers.RNN(PeepholeLSTMCell(size), return_sequences=True),
    "stacked cells": lambda size: layers.RNN(
        [layers.LSTMCell(size), layers.GRUCell(size + 1)], return_sequences=True
    ),
    "residual": residual,
    "causal convolution": lambda size: layers.Conv1D(size, 3, padding="causal"),
    "dense": lambda size: layers.Dense(size, activation="tanh"),
    "time distributed": lambda size: layers.TimeDistributed(layers.Dense(size)),
    "layer normalisation": lambda _: layers.LayerNormalization(),
    "batch normalisation": lambda _: layers.BatchNormalization(),
    "dropout": lambda _: layers.Dropout(0.5),
}
STACKS = st.lists(
    st.tuples(st.sampled_from(sorted(LAYERS)), st.integers(1, 4)),
    min_size=1,
    max_size=4,
)
LENGTHS = st.lists(st.integers(1, MAX_LENGTH), min_size=2, max_size=3)


def build_stack(stack, is_last_only):
    """Build the network, its weights drawn so that every layer matters."""
    inputs = keras.Input((None, FEATURES))
    hidden = inputs
    for name, size in stack:
        hidden = LAYERS[name](size)(hidden)
    if is_last_only:
        hidden = layers.Dense(2)(layers.LSTM(3)(hidden))
    network = keras.Model(inputs, hidden)
    rng = np.random.default_rng(0)
    network.set_weights(
        [rng.uniform(0.1, 0.6, w.shape).astype(w.dtype) for w in network.get_weights()]
    )
    return network


def run_whole(network, sequence, is_last_only):
    """Run one sequence as a whole; for a last output, every beginning of it."""
    if not is_last_only:
        return network(sequence[None]).numpy()[0]
    stops = range(1, len(sequence) + 1)
    return np.stack([network(sequence[None, :stop]).numpy()[0] for stop in stops])


def run_chunks(streaming, sequences, draw_size):
    """Carry a batch of sequences to their ends, each in chunks of its own."""
    batch, outputs = len(sequences), [[] for _ in sequences]
    memory = {k: np.zeros((batch, *s), "float32") for k, s in streaming.memory.items()}
    done = np.zeros(batch, "int32")
    while any(done[k] < len(sequence) for k, sequence in enumerate(sequences)):
        left = [len(s) - done[k] for k, s in enumerate(sequences)]
        size = np.array([min(draw_size(), rest) for rest in left], "int32")
        timesteps = max(1, size.max())
        chunk = np.full((batch, timesteps, FEATURES), 9.0, "float32")  # padding
        for k, sequence in enumerate(sequences):
            chunk[k, : size[k]] = sequence[done[k] : done[k] + size[k]]
        results = streaming.advance({"sequence": chunk, "length": size, **memory})
        memory = {name: results[name].numpy() for name in memory}
        for k in range(batch):
            outputs[k].extend(results["output"].numpy()[k, : size[k]])
        done += size
    return [np.array(output) for output in outputs]


# Reproducible: CI must not fail for a stack that a push did not change.
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(
    stack=STACKS, is_last_only=st.booleans(), lengths=LENGTHS, seed=st.integers(0, 99)
)
def test_whole_equals_step_by_step_equals_random_chunks(
    stack, is_last_only, lengths, seed
):
    network = build_stack(stack, is_last_only)
    streaming = stream_network(network, OUTPUTS)
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, FEATURES)).astype("float32") for n in lengths]

    stepped = run_chunks(streaming, sequences, lambda: 1)
    chunked = run_chunks(streaming, sequences, lambda: int(rng.integers(0, 4)))

    for k, sequence in enumerate(sequences):
        whole = run_whole(network, sequence, is_last_only)
        np.testing.assert_allclose(stepped[k], whole, atol=TOLERANCE)
        np.testing.assert_allclose(chunked[k], whole, atol=TOLERANCE)
