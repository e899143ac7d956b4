"""CuDNN layers of old files are served as LSTM and GRU."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import h5py  # noqa: E402
from keras import layers  # noqa: E402

from tests.training.keras_files import randomise, sequential  # noqa: E402
from tests.training.legacy_layers import X, assert_same, load, run_lstm, sigmoid  # noqa: E402
from tests.training.old_files import write_old  # noqa: E402


def write_cudnn(path, layer):
    """Rewrite a layer's weights as those of its CuDNN twin, and its description."""

    def change(config):
        part = config["config"]["layers"][1]
        part["class_name"] = f"CuDNN{layer}"
        kept = ("name", "units", "return_sequences", "return_state", "stateful")
        part["config"] = {k: part["config"][k] for k in kept}
        return config

    write_old(path, "2.2.4", change)
    with h5py.File(path, "r+") as file:
        found = []
        file["model_weights"].visititems(
            lambda name, part: found.append(part.parent) if "bias" in name else None
        )
        (group,) = [one for one in found if isinstance(one, h5py.Group)]
        names = {name.partition(":")[0]: name for name in group}
        gates = {"LSTM": 4, "GRU": 3}[layer]
        kernel = np.hsplit(group[names["kernel"]][...], gates)
        recurrent = np.hsplit(group[names["recurrent_kernel"]][...], gates)
        # As cuDNN has them: each gate transposed, in the memory of the whole.
        group[names["kernel"]][...] = np.hstack([k.T.reshape(k.shape) for k in kernel])
        group[names["recurrent_kernel"]][...] = np.hstack([k.T for k in recurrent])
        bias = group[names["bias"]][...]
        halves = [0.25 * bias, 0.75 * bias] if layer == "LSTM" else list(bias)
        del group[names["bias"]]
        group[names["bias"]] = np.concatenate(halves)


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_cudnn_layers_are_served_as_lstm_and_gru(tmp_path, layer):
    model = sequential(getattr(layers, layer)(4))
    randomise(model).save(tmp_path / "model.h5")
    write_cudnn(tmp_path / "model.h5", layer)
    kernel, recurrent, bias = model.get_weights()
    expected = model(X)
    if layer == "LSTM":
        expected = run_lstm(X, kernel, recurrent, bias, sigmoid)

    assert_same(load(tmp_path / "model.h5")(X), expected)


def run_cudnn(x, kernel, recurrent, bias, gates):
    """Compute a layer from a CuDNN file's own numbers, as NVIDIA documents it.

    cudnnRNNMode_t: a gate is W x + R h + b_W + b_R, where W is a matrix of (units,
    features) in the order of C and R one of (units, units). Keras stores the gates of
    an LSTM as i, f, g, o and of a GRU as z, r, g, biases of the input first; a GRU is
    h' = (1 - z) tanh(W_g x + b_Wg + r (R_g h + b_Rg)) + z h.
    """
    units, features = recurrent.shape[0], kernel.shape[0]
    inputs = [
        part.astype("float64").ravel().reshape(units, features)
        for part in np.split(kernel, gates, axis=1)
    ]
    states = [
        part.astype("float64").ravel().reshape(units, units)
        for part in np.split(recurrent, gates, axis=1)
    ]
    first, second = np.split(bias.astype("float64"), 2)
    first, second = np.split(first, gates), np.split(second, gates)
    h = c = np.zeros((len(x), units))
    for event in np.moveaxis(x.astype("float64"), 1, 0):
        given = [event @ w.T + b for w, b in zip(inputs, first, strict=True)]
        kept = [h @ r.T + b for r, b in zip(states, second, strict=True)]
        if gates == 4:
            i, f, g, o = (a + b for a, b in zip(given, kept, strict=True))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            z, r = (sigmoid(given[k] + kept[k]) for k in (0, 1))
            h = (1 - z) * np.tanh(given[2] + r * kept[2]) + z * h
    return h


@pytest.mark.parametrize(("layer", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_cudnn_layers_compute_what_the_library_documents(tmp_path, layer, gates):
    path = tmp_path / "model.h5"
    randomise(sequential(getattr(layers, layer)(4))).save(path)
    write_cudnn(path, layer)
    rng = np.random.default_rng(7)
    weights = {}

    def fill(name, part):
        if isinstance(part, h5py.Dataset):
            part[...] = rng.normal(0, 0.5, part.shape)
            weights[name.rpartition("/")[2].partition(":")[0]] = part[...]

    with h5py.File(path, "r+") as file:
        file["model_weights"].visititems(fill)
    expected = run_cudnn(
        X, weights["kernel"], weights["recurrent_kernel"], weights["bias"], gates
    )

    assert_same(load(path)(X), expected)
