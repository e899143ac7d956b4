"""What is trained: features, recurrent layers, a head. Plain Keras, no state.

Knows nothing of where sequences come from or how memory travels: a network maps whole
sequences to outputs per timestep; `models.streaming` gives the same layers a memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from models.features import (
    Schema,
    Tensor,
    denormalise,
    encode_sequence,
    normalise,
    sequence_input,
    split_fields,
)

# Keras's defaults are the field's: Glorot kernel (Glorot & Bengio 2010), orthogonal
# recurrent kernel (Saxe et al. 2013, arXiv 1312.6120), and for the LSTM a forget bias
# of 1 (Jozefowicz et al., An Empirical Exploration of Recurrent Network Architectures,
# ICML 2015), so that an untrained network already remembers.
CELLS: Mapping[str, Callable[..., keras.layers.RNN]] = {
    "rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


def build_network(
    inputs: Schema, outputs: Schema, *, cell: str = "lstm", units: Sequence[int] = (16,)
) -> keras.Model:
    """Build a stack of recurrent layers between an input and an output schema.

    Args:
        inputs: Input schema, as in `models.features`.
        outputs: Output schema, one of
            `{"kind": "label", "name": "probabilities", "labels": [...]}`,
            `{"kind": "next_event", "name": "probabilities", "labels": [...]}`,
            `{"kind": "forecast", "name": "forecast", "field": ..., "horizon": H}`.
        cell: `rnn`, `lstm` or `gru`.
        units: Size of each recurrent layer, first to last.

    Returns:
        A functional model from `sequence` to float32 outputs of shape
        (batch, timesteps, labels), each row a probability distribution, or
        (batch, timesteps, horizon) in the unit of the forecast field.

    Raises:
        ValueError: `cell` is unknown or `units` is empty.
    """
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}; choose one of {', '.join(CELLS)}.")
    if not units:
        raise ValueError("units is empty; give the size of at least one layer: [16].")
    sequence = sequence_input(inputs)
    hidden = encode_sequence(sequence, inputs)
    for num_units in units:
        hidden = CELLS[cell](num_units, return_sequences=True)(hidden)
    head = build_forecast if outputs["kind"] == "forecast" else build_classifier
    return keras.Model(sequence, head(hidden, sequence, inputs, outputs))


def build_classifier(
    hidden: Tensor, sequence: Tensor, inputs: Schema, outputs: Schema
) -> Tensor:
    """Build a softmax over the labels at every timestep."""
    del sequence, inputs  # the event reaches a classifier through the memory only
    return keras.layers.Dense(len(outputs["labels"]), activation="softmax")(hidden)


def build_forecast(
    hidden: Tensor, sequence: Tensor, inputs: Schema, outputs: Schema
) -> Tensor:
    """Build a forecast of the next values as changes from the current one."""
    field, current = find_field(sequence, inputs, outputs["field"])
    change = keras.layers.Dense(outputs["horizon"])(hidden)
    # In this order: Keras 3.15 takes a second summand that squeezes to a vector of the
    # first one's length for a bias, and (1, 5, 1) is none.
    return denormalise(normalise(current, field) + change, field)


def find_field(
    sequence: Tensor, inputs: Schema, name: str
) -> tuple[dict[str, Any], Tensor]:
    """Find a numeric field's schema and its column, of shape (batch, timesteps, 1)."""
    for field, columns in split_fields(sequence, inputs["fields"]):
        if field["name"] == name and field["type"] == "number":
            return dict(field), columns[0]
    names = [field["name"] for field in inputs["fields"] if field["type"] == "number"]
    raise ValueError(f"{name!r} is no numeric input; choose one of {', '.join(names)}.")
