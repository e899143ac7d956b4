"""A proof: on which sequences, and what it refuses, accepts and says."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from models.export import load_signature, trace_signature  # noqa: E402
from models.refusals import CannotStream  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from models.wrapping import wrap_model  # noqa: E402
from tests.training.keras_files import FEATURES, randomise, sequential  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.hard_sequences import draw_hard  # noqa: E402
from training.proof import Stepper, prove  # noqa: E402
from training.reference import run  # noqa: E402


def functional(build):
    inputs = keras.Input((None, FEATURES))
    return keras.Model(inputs, build(inputs))


def masked(x):
    masked = layers.Masking(-1.0)(x)
    hidden = layers.LSTM(3, return_sequences=True)(masked)
    return layers.LSTM(2)(layers.Dense(3)(hidden))


def attempt(model, window):
    return prove_wrapped(model, wrap_model(model, window=window))


def prove_wrapped(model, wrapped):
    streaming = stream_network(wrapped.network, wrapped.outputs)
    advance = load_signature(trace_signature(streaming.advance))
    return prove(model, wrapped, Stepper(advance, streaming.memory, streaming.dtype))


def move_features(timesteps):
    """Reshape and move the axes of features, the timesteps where they are."""

    def build(x):
        hidden = layers.Reshape((timesteps, 2, -1 if timesteps > 0 else 2))(
            layers.Dense(4)(x)
        )
        hidden = layers.Permute((1, 3, 2))(hidden)
        hidden = keras.ops.transpose(hidden, (0, 1, 3, 2))
        hidden = keras.ops.moveaxis(keras.ops.swapaxes(hidden, 2, 3), 2, -1)
        hidden = keras.ops.flip(keras.ops.roll(hidden, 1, axis=-1), axis=2)
        return layers.GRU(2)(layers.Reshape((timesteps, 4))(hidden))

    return build


@pytest.mark.parametrize("timesteps", [None, 5])
def test_axes_of_features_are_moved_in_a_stream(timesteps):
    inputs = keras.Input((timesteps, FEATURES))
    build = move_features(timesteps or -1)

    assert attempt(randomise(keras.Model(inputs, build(inputs))), None)


@pytest.mark.parametrize(
    "move",
    [
        lambda x: layers.Reshape((-1, 1))(x),
        lambda x: keras.ops.transpose(x, (0, 2, 1)),
        lambda x: keras.ops.swapaxes(x, 1, 2),
        lambda x: keras.ops.moveaxis(x, 1, 2),
        lambda x: keras.ops.flip(x, axis=(1, 2)),
        lambda x: keras.ops.roll(x, 1),
    ],
)
def test_moved_timesteps_are_refused(move):
    with pytest.raises(CannotStream, match=r"timesteps|backwards"):
        attempt(functional(move), None)


@pytest.mark.parametrize(
    "code", [lambda x: x[:, -1], lambda x: tf.nn.relu(x)], ids=["Keras", "TensorFlow"]
)
def test_code_of_a_lambda_streams_as_what_it_does(code):
    def build(x):
        return layers.Lambda(code)(layers.LSTM(3, return_sequences=True)(x))

    assert attempt(randomise(functional(build)), None).difference <= 1e-6


def test_a_series_of_numbers_gets_an_axis_of_features():
    series = keras.Input((None,))
    model = keras.Model(series, layers.GRU(2)(layers.Reshape((-1, 1))(series)))

    assert attempt(randomise(model), None).difference <= 1e-6


def keep_first(x):
    """Changes since the first event, and what it led to, as prices are compared."""
    hidden = layers.LSTM(3, return_sequences=True)(x - x[:, 0:1])
    return keras.ops.concatenate([hidden[:, 0, 1:], hidden[:, -1]], axis=-1)


def average_whole_numbers(x):
    """A mean of whole numbers, which is not one; a sum of them is."""
    whole = keras.ops.cast(x * 3, "int32")
    mean = layers.GlobalAveragePooling1D()(whole)
    total = keras.ops.cast(keras.ops.sum(whole, axis=1), "float32")
    return keras.ops.concatenate([mean, keras.ops.mean(whole, axis=1), total], -1)


@pytest.mark.parametrize("build", [keep_first, average_whole_numbers])
def test_what_is_kept_of_a_sequence_is_what_keras_computes(build):
    assert attempt(randomise(functional(build)), None).difference <= 1e-6


@pytest.mark.parametrize(
    "merge",
    ["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"],
)
def test_masks_of_an_embedding_pass_every_merge(merge):
    words = keras.Input((None,))
    looked = layers.Embedding(7, 4, mask_zero=True)(words)
    hidden = layers.LSTM(4, return_sequences=True)(looked)
    merged = getattr(layers, merge)()([hidden, looked])
    hidden = layers.LayerNormalization()(layers.Dropout(0.2)(layers.Dense(4)(merged)))
    hidden = layers.GRU(3, return_sequences=True)(hidden)
    # Its values where events are masked are an output too.
    model = keras.Model(words, layers.Concatenate()([hidden, merged]))

    assert attempt(randomise(model), None).difference <= 1e-6


def test_a_mask_for_every_timestep_is_no_static_input():
    frames = keras.Input((5, FEATURES), name="frames")
    counts = keras.Input((5,), dtype="bool", name="counts")
    model = keras.Model([frames, counts], layers.GRU(2)(frames, mask=counts))
    wrapped = wrap_model(randomise(model))

    assert not any(port.is_static for port in wrapped.ports)
    assert prove_wrapped(model, wrapped).difference <= 1e-6


def test_inputs_of_a_dict_have_the_names_of_its_keys():
    frames, age = keras.Input((None, FEATURES)), keras.Input((2,))
    joined = layers.Concatenate()([layers.GRU(2)(frames), age])
    with pytest.warns(UserWarning, match="keys in the dict must match"):
        model = keras.Model({"frames": frames, "age": age}, joined)

    assert [port.name for port in wrap_model(model).ports] == ["age", "frames"]


def test_rounding_of_the_model_itself_is_no_difference():
    # Its variance of squares of 100 is made of the last digits.
    model = randomise(
        functional(lambda x: layers.Dense(3)(layers.LayerNormalization()(x * x * 100)))
    )

    assert attempt(model, None).difference <= 1e-5


@pytest.mark.parametrize("window", [None, 4])
def test_a_model_that_is_never_finite_is_refused(window):
    model = sequential(layers.LSTM(3), layers.Dense(2))
    model.set_weights([np.full(w.shape, np.nan) for w in model.get_weights()])

    with pytest.raises(ModelError, match=r"not a finite number.*diverged"):
        attempt(model, window)


def test_a_model_that_fails_on_a_number_is_refused():
    def fail(given):
        raise ValueError("-94 is not in [0, 6)")

    with pytest.raises(ModelError, match=r"from -100 to 3: -94.*\. A client"):
        run(fail, {"sequence": np.array([3.0, -100.0])})


def test_sequences_hold_masked_events_at_the_beginning_inside_and_at_the_end():
    wrapped = wrap_model(functional(masked))

    sequence = draw_hard(wrapped, 3, 24)

    is_masked = (sequence == -1.0).all(axis=-1)
    assert is_masked[0, 0]
    assert is_masked[0, 12]
    assert is_masked[0, -1]
    assert not is_masked.all(axis=1).any()
    assert sequence.max() >= 100


def test_sequences_hold_every_event_of_a_small_vocabulary():
    model = sequential(layers.Embedding(9, 2), layers.LSTM(2), shape=(None,))

    sequence = draw_hard(wrap_model(model), 3, 24)

    assert set(sequence.ravel()) == set(range(9))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Bidirectional(layers.LSTM(3)),
        lambda: layers.Flatten(),
        lambda: layers.MaxPooling1D(2),
        lambda: layers.Conv1D(2, 3),
        # In training by default.
        lambda: sequential(
            layers.Reshape((4, FEATURES, 1)),
            layers.RandomBrightness(0.5, value_range=(0, 1)),
            shape=(4, FEATURES),
        ),
        lambda: layers.GlobalMaxPooling1D(),
    ],
)
def test_any_model_is_served_on_its_last_events(layer):
    model = sequential(layer(), shape=(4, FEATURES))

    assert attempt(model, 4).difference <= 1e-6


def test_window_of_indices_is_padded_with_an_index():
    words = keras.Input((4,), dtype="int32")
    hidden = layers.LSTM(3)(layers.Embedding(6, 2)(words))
    model = randomise(keras.Model(words, layers.Dense(2)(hidden)))

    wrapped = wrap_model(model, window=4, padding=5.0)

    assert prove_wrapped(model, wrapped).difference <= 1e-6


def test_numbers_reshaped_to_a_sequence_are_a_window_of_numbers():
    model = sequential(layers.Reshape((5, 1)), layers.LSTM(3), shape=(5,))

    wrapped = wrap_model(model, window=5)

    assert wrapped.inputs == {"kind": "vector", "size": 1}
    attempt(model, 5)
