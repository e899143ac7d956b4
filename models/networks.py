"""Networks to train: features, recurrent layers, a head. Plain Keras, no state.

Knows nothing of where sequences come from or how memory travels: a network maps whole
sequences to outputs per timestep; `models.streaming` gives the same layers a memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras

from models.features import encode_sequence, sequence_input
from models.gates import Tensor
from models.heads import build_head
from models.peephole import PeepholeLSTMCell
from models.schemas import (
    Schema,
    check_inputs,
    check_outputs,
    require_one_of,
    vocabularies,
)


def peephole_lstm(units: int, *, return_sequences: bool) -> keras.layers.RNN:
    """Build a layer of the cell that Keras does not have."""
    return keras.layers.RNN(PeepholeLSTMCell(units), return_sequences=return_sequences)


# Initial weights are Keras's defaults, which are the field's: Glorot kernel (Glorot &
# Bengio 2010), orthogonal recurrent kernel (Saxe et al. 2013, arXiv 1312.6120), and for
# the LSTM a forget bias of 1 (Jozefowicz et al. 2015), so that an untrained network
# already remembers. A test holds Keras to them.
CELLS: Mapping[str, Callable[..., keras.layers.RNN]] = {
    "rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "peephole": peephole_lstm,
}


def build_network(
    inputs: Schema,
    outputs: Schema,
    *,
    cell: str = "lstm",
    units: Sequence[int] = (16,),
    embedding: int | None = None,
    dropout: float = 0.0,
    layer_norm: bool = False,
) -> keras.Model:
    """Build a stack of recurrent layers between an input and an output schema.

    Args:
        inputs: Input schema, as in `models.schemas`.
        outputs: Output schema, as in `models.schemas`.
        cell: A name in `CELLS`.
        units: Size of each recurrent layer, first to last.
        embedding: Size of the learnt vector of an event or category; None for one-hot,
            which is as good while a vocabulary is small.
        dropout: Share of a recurrent layer's outputs that training drops, from 0 to
            below 1; serving drops none.
        layer_norm: Whether to normalise the output of every recurrent layer.

    Returns:
        A functional model from `sequence` to float32 outputs of shape
        (batch, timesteps, labels), each row a probability distribution, or
        (batch, timesteps, horizon[, quantiles]) in the unit of the forecast field, or
        (batch, timesteps, quantiles) in seconds. Of several heads, a dict of such.

    Raises:
        ValueError: A schema or an option is wrong; the sentence says which.

    Reference:
        Orthogonal recurrent kernels: Saxe, McClelland & Ganguli, Exact solutions to the
        nonlinear dynamics of learning in deep linear neural networks, 2013,
        https://arxiv.org/abs/1312.6120.
        Forget bias of 1: Jozefowicz, Zaremba & Sutskever, An Empirical Exploration of
        Recurrent Network Architectures, ICML 2015,
        https://proceedings.mlr.press/v37/jozefowicz15.html.
        Dropout between layers, never within the loop: Zaremba, Sutskever & Vinyals,
        Recurrent Neural Network Regularization, 2014, https://arxiv.org/abs/1409.2329.
        Layer normalisation: Ba, Kiros & Hinton, 2016, https://arxiv.org/abs/1607.06450;
        here of a layer's output, not inside its cell.

    Example:
        >>> events = {"kind": "event", "vocabulary": ["open", "close"]}
        >>> answer = {"kind": "label", "name": "probabilities", "labels": ["ok", "bad"]}
        >>> build_network(events, answer, cell="gru", units=(8, 4)).output.shape
        (None, None, 2)
    """
    check_inputs(inputs)
    check_outputs(inputs, outputs)
    check_options(inputs, cell, units, embedding, dropout)
    sequence = sequence_input(inputs)
    hidden = encode_sequence(sequence, inputs, embedding)
    for num_units in units:
        hidden = CELLS[cell](num_units, return_sequences=True)(hidden)
        hidden = regularise(hidden, dropout, layer_norm=layer_norm)
    main = build_head(hidden, sequence, inputs, outputs)
    if not outputs.get("heads"):
        return keras.Model(sequence, main)
    others = {
        head["name"]: build_head(hidden, sequence, inputs, head)
        for head in outputs["heads"]
    }
    return keras.Model(sequence, {outputs["name"]: main, **others})


def regularise(hidden: Tensor, dropout: float, *, layer_norm: bool) -> Tensor:
    """Normalise a layer's output and drop a share of it, where asked to."""
    if layer_norm:
        hidden = keras.layers.LayerNormalization()(hidden)
    return keras.layers.Dropout(dropout)(hidden) if dropout else hidden


def check_options(
    inputs: Schema,
    cell: str,
    units: Sequence[int],
    embedding: int | None,
    dropout: float,
) -> None:
    """Refuse options that no network can be built with.

    Raises:
        ValueError: An option is outside its range, or has nothing to act on.
    """
    require_one_of("cell", cell, CELLS)
    if not units:
        raise ValueError("units is empty; give the size of at least one layer: [16].")
    if not 0 <= dropout < 1:
        raise ValueError(
            f"dropout is {dropout}; expected a share from 0 to below 1, such as 0.2."
        )
    if embedding is None:
        return
    if embedding < 1:
        raise ValueError(
            f"embedding is {embedding}; expected 1 or more. Leave it out for one-hot."
        )
    if not vocabularies(inputs):
        raise ValueError(
            f"embedding is {embedding}, but no field of the input is a category; there "
            "is nothing to embed. Leave embedding out."
        )
