"""The gates of recurrent cells as pure functions: the equations, and nothing else.

Two vocabularies meet here and nowhere else. The lesson speaks of four gates and two
memories, the field of letters:

    lesson             field   Keras                       meaning
    event              x       inputs                      what arrives
    short-term memory  h       states[0], the output       what the cell says
    long-term memory   c       states[1], the carry        what the cell keeps
    learn              i * g   kernel columns i and c      what is taken from the event
    forget             f       kernel columns f            how much of c is kept
    remember           c       -                           kept + learned
    use                o       kernel columns o            how much of c is said

Keras packs the LSTM's kernel as `i, f, g, o` along its last axis (it calls g "c") and
keeps its states as `(h, c)`; the GRU's kernel is packed `z, r, g` and blends
`h = z * h_prev + (1 - z) * g`. **g is always the candidate.**

Every array is float of shape (..., units), every kernel (inputs, gates * units).
This module knows no layer and no framework: it is written on `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

Tensor = Any
Activation = Callable[[Tensor], Tensor]


class Learned(NamedTuple):
    """Results of the learn gate: gate i, candidate g and their product."""

    i: Tensor
    g: Tensor
    learned: Tensor


def preactivation(
    x: Tensor, h_prev: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor
) -> Tensor:
    """Join the event and the short-term memory: z = x W + h_prev U + b.

    Args:
        x: The event, of shape (batch, features).
        h_prev: Short-term memory before the event, of shape (batch, units).
        kernel: W, of shape (features, gates * units).
        recurrent_kernel: U, of shape (units, gates * units).
        bias: b, of shape (gates * units,), or None for a cell without.

    Returns:
        Pre-activations of shape (batch, gates * units), packed as the kernels are.
    """
    z = ops.matmul(x, kernel) + ops.matmul(h_prev, recurrent_kernel)
    return z if bias is None else z + bias


def learn(
    z_i: Tensor,
    z_g: Tensor,
    activation: Activation = ops.tanh,
    recurrent_activation: Activation = ops.sigmoid,
) -> Learned:
    """Take something new from the event, and ignore part of it.

    g = tanh(z_g); i = sigmoid(z_i); learned = i * g

    Args:
        z_i: Pre-activation of the gate, of shape (..., units).
        z_g: Pre-activation of the candidate, of the same shape.
        activation: Of the candidate.
        recurrent_activation: Of the gate.

    Reference: Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation
    9(8), 1997, doi 10.1162/neco.1997.9.8.1735.
    """
    i, g = recurrent_activation(z_i), activation(z_g)
    return Learned(i, g, i * g)


def forget(
    z_f: Tensor, c_prev: Tensor, recurrent_activation: Activation = ops.sigmoid
) -> tuple[Tensor, Tensor]:
    """Decide how much of the long-term memory to keep.

    f = sigmoid(z_f); kept = f * c_prev

    Args:
        z_f: Pre-activation of the gate, of shape (..., units).
        c_prev: Long-term memory before the event, of the same shape.
        recurrent_activation: Of the gate.

    Returns:
        The gate f and what it kept.

    Reference: Gers, Schmidhuber & Cummins, Learning to Forget: Continual Prediction
    with LSTM, Neural Computation 12(10), 2000, doi 10.1162/089976600300015015.
    """
    f = recurrent_activation(z_f)
    return f, f * c_prev


def remember(kept: Tensor, learned: Tensor) -> Tensor:
    """Form the new long-term memory: c = kept + learned."""
    return kept + learned


def use(
    z_o: Tensor,
    c: Tensor,
    activation: Activation = ops.tanh,
    recurrent_activation: Activation = ops.sigmoid,
) -> tuple[Tensor, Tensor]:
    """Form the new short-term memory, which is also the cell's output.

    o = sigmoid(z_o); h = o * tanh(c)

    Args:
        z_o: Pre-activation of the gate, of shape (..., units).
        c: Long-term memory after the event, of the same shape.
        activation: Of the memory.
        recurrent_activation: Of the gate.

    Returns:
        The gate o and the short-term memory h.

    Reference: Hochreiter & Schmidhuber, 1997 (their output gate), as in `learn`.
    """
    o = recurrent_activation(z_o)
    return o, o * activation(c)


def blend(z: Tensor, g: Tensor, h_prev: Tensor) -> Tensor:
    """Form the GRU's new short-term memory: h = z * h_prev + (1 - z) * g.

    Keras's sign of z: 1 keeps the memory. Cho et al. (2014) write it so too; Chung et
    al. (2014) and Haiku swap the two.

    Args:
        z: The update gate itself (not a pre-activation), of shape (..., units).
        g: The candidate, of the same shape.
        h_prev: Short-term memory before the event, of the same shape.

    Reference: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder,
    2014, https://arxiv.org/abs/1406.1078.
    """
    return z * h_prev + (1 - z) * g
