"""Keras models nobody here built: streamed step by step, or refused with a reason."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from keras import layers  # noqa: E402

from models.refusals import CannotStream  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests.models.keras_models import (  # noqa: E402
    FEATURES,
    MODELS,
    OUTPUTS,
    TIMESTEPS,
    functional,
    sequential,
)

# Float32 rounding over tens of timesteps; an error of logic is a thousand times larger.
TOLERANCE = 1e-5


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
