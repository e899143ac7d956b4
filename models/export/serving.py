"""The signature `serving_default`: whole sequences, as clients write them.

The streaming form from no memory, read after the last event: what a session answers
after the same events. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.export.parsing import (
    Tables,
    check_finite,
    parse_events,
    parse_records,
    require,
)
from models.gates import Tensor
from models.schemas import Schema, output_names

DTYPES = {
    "time": tf.string,
    "number": tf.float32,
    "category": tf.string,
    "vector": tf.float32,
    "index": tf.int32,
    "event": tf.string,
}


def build_serving_default(
    advance: Any,
    layout: Mapping[str, tuple[int, ...]],
    inputs: Schema,
    outputs: Schema,
    tables: Tables,
) -> Any:
    """Trace whole sequences, as a client writes them, to their last outputs.

    Events are one tensor `sequence`: strings of shape (batch, timesteps), where ""
    after the end pads; int32 indices of that shape; or float32 vectors of shape (batch,
    timesteps, size). Records are one tensor per field, times and categories as strings.
    """
    is_record = inputs["kind"] == "record"
    whole = {"name": "sequence", "type": inputs["kind"], **inputs}
    fields = inputs["fields"] if is_record else [whole]
    specs = {field["name"]: specify(field) for field in fields}

    _, declared = advance.structured_input_signature

    @tf.function(autograph=False)
    def serving_default(**tensors: Tensor) -> dict[str, Tensor]:
        sequence, length = parse(tensors, inputs, tables)
        memory = {
            name: tf.zeros((tf.shape(sequence)[0], *shape), declared[name].dtype)
            for name, shape in layout.items()
        }
        results = advance(sequence=sequence, length=length, **memory)
        return {
            name: tf.gather(results[name], length - 1, axis=1, batch_dims=1)
            for name in output_names(outputs)
        }

    return serving_default.get_concrete_function(**specs)


def specify(field: Schema) -> tf.TensorSpec:
    """Describe the tensor of one field, or of plain events."""
    shape = (None, None, field["size"]) if field["type"] == "vector" else (None, None)
    return tf.TensorSpec(shape, DTYPES[field["type"]], field["name"])


def parse(
    tensors: Mapping[str, Tensor], inputs: Schema, tables: Tables
) -> tuple[Tensor, Tensor]:
    """Encode events: the sequence the network takes, and int32 lengths (batch,)."""
    if inputs["kind"] == "event":
        return parse_events(tensors["sequence"], tables["sequence"])
    if inputs["kind"] == "record":
        return parse_records(tensors, inputs["fields"], tables)
    sequence = tensors["sequence"]
    if inputs["kind"] == "index":
        known = (sequence >= 0) & (sequence < inputs["size"])
        sequence = require(known, sequence, "an index", sequence)
    else:
        sequence = check_finite(sequence, "sequence")
    return sequence, tf.fill(tf.shape(sequence)[:1], tf.shape(sequence)[1])
