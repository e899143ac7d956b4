"""Layers of Keras 2 in NumPy, and files that are saved with them."""

from __future__ import annotations

import keras
import numpy as np

from tests.training.keras_files import FEATURES, randomise
from tests.training.old_files import write_old
from training.load_keras import load_model

# Float32 rounding; hard_sigmoid of Keras 3 in place of 2 is 0.01 to 0.2 off.
TOLERANCE = 1e-6
X = np.random.default_rng(2).normal(0, 2, (3, 7, FEATURES)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    """Define it as the documentation of Keras 2 does."""
    return np.where(x < -2.5, 0.0, np.where(x > 2.5, 1.0, 0.2 * x + 0.5))


def run_lstm(x, kernel, recurrent, bias, gate=hard_sigmoid):
    """Compute an LSTM in float64 from its equations; gates i, f, g, o."""
    h = c = np.zeros((len(x), recurrent.shape[0]))
    for event in np.moveaxis(x.astype("float64"), 1, 0):
        z_i, z_f, z_g, z_o = np.split(event @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = gate(z_f) * c + gate(z_i) * np.tanh(z_g)
        h = gate(z_o) * np.tanh(c)
    return h


def run_gru(x, kernel, recurrent, bias, gate=hard_sigmoid):
    """Compute a GRU in float64, the reset gate before the product; gates z, r, g."""
    h = np.zeros((len(x), recurrent.shape[0]))
    u_z, u_r, u_g = np.split(recurrent, 3, axis=-1)
    for event in np.moveaxis(x.astype("float64"), 1, 0):
        z_z, z_r, z_g = np.split(event @ kernel + bias, 3, axis=-1)
        z, r = gate(z_z + h @ u_z), gate(z_r + h @ u_r)
        h = z * h + (1 - z) * np.tanh(z_g + (r * h) @ u_g)
    return h


def save_old(folder, model, version="2.2.4", change=lambda config: config):
    path = folder / "model.h5"
    randomise(model).save(path)
    return write_old(path, version, change)


def load(path):
    return load_model(path, allow_code=False)


def assert_same(got, expected):
    got, expected = (keras.ops.convert_to_numpy(x) for x in (got, expected))
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)
