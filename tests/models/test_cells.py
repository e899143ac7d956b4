"""The readable cells against Keras's, a NumPy reference, and numerical gradients."""

from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import ops  # noqa: E402

from models.networks import CELLS  # noqa: E402
from models.peephole import PeepholeLSTMCell  # noqa: E402
from models.tracing import TWINS, TracingCell  # noqa: E402
from tests import reference  # noqa: E402

# Rounding over 20 steps in each type; an error of logic is orders larger.
TOLERANCES = {"float32": 1e-6, "float64": 1e-12}
UNITS, FEATURES, TIMESTEPS = 5, 3, 20


def build_cell(name, dtype):
    """Build the cell of a layer of `CELLS`, which take no type of numbers."""
    cell = CELLS[name](UNITS, return_sequences=True).cell
    return type(cell).from_config({**cell.get_config(), "dtype": dtype})


KERAS_CELLS = {
    **{name: partial(build_cell, name) for name in CELLS},
    "gru-before": lambda dtype: keras.layers.GRUCell(
        UNITS, reset_after=False, dtype=dtype
    ),
    "no-bias": lambda dtype: keras.layers.LSTMCell(UNITS, use_bias=False, dtype=dtype),
    "gru-no-bias": lambda dtype: keras.layers.GRUCell(
        UNITS, use_bias=False, dtype=dtype
    ),
    "relu": lambda dtype: keras.layers.LSTMCell(
        UNITS, activation="relu", recurrent_activation="hard_sigmoid", dtype=dtype
    ),
}


def events(dtype="float32"):
    return np.random.default_rng(1).normal(size=(2, TIMESTEPS, FEATURES)).astype(dtype)


def randomise(layer, seed=2, scale=0.5):
    """Replace weights by random ones, so that no bias is zero by chance."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, scale, w.shape) for w in layer.get_weights()])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", KERAS_CELLS)
def test_twin_equals_the_cell_it_explains(name, dtype):
    cell = KERAS_CELLS[name](dtype)
    layer = keras.layers.RNN(cell, return_sequences=True, dtype=dtype)
    sequence = events(dtype)
    layer(sequence)
    randomise(layer)
    twin = TracingCell(cell, dtype=dtype)

    expected = ops.convert_to_numpy(layer(sequence))

    states = [np.zeros((2, UNITS), dtype) for _ in layer.state_size]
    for t in range(TIMESTEPS):
        packed, states = twin(sequence[:, t], states)
        h = ops.convert_to_numpy(states[0])
        np.testing.assert_allclose(h, expected[:, t], atol=TOLERANCES[dtype])
    assert packed.shape[-1] == len(TWINS[type(cell)][1]) * UNITS


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_peephole_with_zero_peepholes_equals_keras_lstm(dtype):
    plain = keras.layers.LSTM(UNITS, return_sequences=True, dtype=dtype)
    cell = PeepholeLSTMCell(UNITS, dtype=dtype)
    peephole = keras.layers.RNN(cell, return_sequences=True, dtype=dtype)
    sequence = events(dtype)
    plain(sequence)
    peephole(sequence)
    randomise(plain)
    kernel, recurrent_kernel, bias = plain.get_weights()
    peephole.set_weights([kernel, recurrent_kernel, np.zeros(3 * UNITS), bias])

    got, expected = (ops.convert_to_numpy(lay(sequence)) for lay in (peephole, plain))

    np.testing.assert_allclose(got, expected, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CELLS)
def test_cell_equals_the_numpy_reference(name, dtype):
    cell = build_cell(name, dtype)
    layer = keras.layers.RNN(cell, return_sequences=True, dtype=dtype)
    sequence = events(dtype)
    layer(sequence)
    randomise(layer)

    got = ops.convert_to_numpy(layer(sequence))[0]

    h = reference.cell(name, sequence[0], layer.get_weights(), UNITS)
    np.testing.assert_allclose(got, h, atol=TOLERANCES[dtype])


def test_peephole_gradients_equal_numerical_ones():
    import tensorflow as tf

    cell = PeepholeLSTMCell(UNITS, dtype="float64")
    layer = keras.layers.RNN(cell, dtype="float64")
    sequence = events("float64")[:, :6]
    layer(sequence)
    randomise(layer)

    def loss():
        return ops.sum(ops.square(layer(sequence)))

    with tf.GradientTape() as tape:
        value = loss()
    variables = [weight.value for weight in layer.trainable_weights]
    gradients = tape.gradient(value, variables)

    step = 1e-6
    for variable, gradient in zip(variables, gradients, strict=True):
        for index in [(0,) * len(variable.shape), tuple(n - 1 for n in variable.shape)]:
            there = variable.numpy()
            ends = []
            for sign in (1, -1):
                moved = there.copy()
                moved[index] += sign * step
                variable.assign(moved)
                ends.append(float(loss()))
            variable.assign(there)
            numerical = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient.numpy()[index]) == pytest.approx(numerical, rel=1e-6)


def test_peephole_layer_survives_saving(tmp_path):
    inputs = keras.Input((None, FEATURES))
    layer = keras.layers.RNN(PeepholeLSTMCell(UNITS), return_sequences=True)
    model = keras.Model(inputs, layer(inputs))
    randomise(model)
    model.save(tmp_path / "peephole.keras")

    loaded = keras.models.load_model(tmp_path / "peephole.keras")

    np.testing.assert_array_equal(
        loaded.predict(events(), verbose=0), model.predict(events(), verbose=0)
    )


def test_cells_begin_with_orthogonal_recurrence_and_a_forget_bias_of_one():
    for cell in (keras.layers.LSTMCell(UNITS), PeepholeLSTMCell(UNITS)):
        cell.build((None, FEATURES))
        u = cell.recurrent_kernel.numpy()
        np.testing.assert_allclose(u @ u.T, np.eye(UNITS), atol=1e-5)
        bias = cell.bias.numpy()
        np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], UNITS))
