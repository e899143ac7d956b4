"""Oracles: recurrent cells in NumPy float64, written from the papers' equations.

Independent of `models`: one step at a time, no packing tricks, no framework. Weights
come as Keras packs them, so that they can be taken from a layer.
"""

from __future__ import annotations

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(x, kernel, recurrent_kernel, bias, h, c):
    """Run an LSTM over x of shape (timesteps, features); return h and c per step."""
    w_i, w_f, w_g, w_o = np.split(np.asarray(kernel, "float64"), 4, axis=1)
    u_i, u_f, u_g, u_o = np.split(np.asarray(recurrent_kernel, "float64"), 4, axis=1)
    b_i, b_f, b_g, b_o = np.split(np.asarray(bias, "float64"), 4)
    hs, cs = [], []
    for event in np.asarray(x, "float64"):
        learned = sigmoid(event @ w_i + h @ u_i + b_i) * np.tanh(
            event @ w_g + h @ u_g + b_g
        )
        kept = sigmoid(event @ w_f + h @ u_f + b_f) * c
        use = sigmoid(event @ w_o + h @ u_o + b_o)
        c = kept + learned
        h = use * np.tanh(c)
        hs.append(h)
        cs.append(c)
    return np.array(hs), np.array(cs)


def gru(x, kernel, recurrent_kernel, bias, h):
    """Run a GRU with reset_after over x; return h per step."""
    w_z, w_r, w_g = np.split(np.asarray(kernel, "float64"), 3, axis=1)
    u_z, u_r, u_g = np.split(np.asarray(recurrent_kernel, "float64"), 3, axis=1)
    bias_x, bias_h = np.asarray(bias, "float64")
    b_z, b_r, b_g = np.split(bias_x, 3)
    d_z, d_r, d_g = np.split(bias_h, 3)
    hs = []
    for event in np.asarray(x, "float64"):
        z = sigmoid(event @ w_z + b_z + h @ u_z + d_z)
        r = sigmoid(event @ w_r + b_r + h @ u_r + d_r)
        g = np.tanh(event @ w_g + b_g + r * (h @ u_g + d_g))
        h = z * h + (1 - z) * g
        hs.append(h)
    return np.array(hs)


def rnn(x, kernel, recurrent_kernel, bias, h):
    """Run a simple RNN over x; return h per step."""
    hs = []
    for event in np.asarray(x, "float64"):
        h = np.tanh(event @ kernel + h @ recurrent_kernel + bias)
        hs.append(h)
    return np.array(hs)


def cell(name, x, weights, units):
    """Run a cell of `models.networks.CELLS` from empty memories; return h per step.

    Weights are in the layer's own order.
    """
    run, num_memories = CELLS[name]
    ran = run(x, *weights, *[np.zeros(units)] * num_memories)
    return ran[0] if num_memories > 1 else ran


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def peephole_lstm(x, kernel, recurrent_kernel, peepholes, bias, h, c):
    """Run an LSTM with peepholes over x; return h and c per step."""
    w_i, w_f, w_g, w_o = np.split(np.asarray(kernel, "float64"), 4, axis=1)
    u_i, u_f, u_g, u_o = np.split(np.asarray(recurrent_kernel, "float64"), 4, axis=1)
    b_i, b_f, b_g, b_o = np.split(np.asarray(bias, "float64"), 4)
    p_i, p_f, p_o = np.split(np.asarray(peepholes, "float64"), 3)
    hs, cs = [], []
    for event in np.asarray(x, "float64"):
        i = sigmoid(event @ w_i + h @ u_i + p_i * c + b_i)
        f = sigmoid(event @ w_f + h @ u_f + p_f * c + b_f)
        c = f * c + i * np.tanh(event @ w_g + h @ u_g + b_g)
        o = sigmoid(event @ w_o + h @ u_o + p_o * c + b_o)
        h = o * np.tanh(c)
        hs.append(h)
        cs.append(c)
    return np.array(hs), np.array(cs)


# Of each cell of `models.networks`, its equations and how many memories it has.
CELLS = {
    "rnn": (rnn, 1),
    "lstm": (lstm, 2),
    "gru": (gru, 1),
    "peephole": (peephole_lstm, 2),
}
