"""The truth: what a network computes in float64, where float32 itself is in doubt.

Every implementation in float32 rounds, and a memory carried for 1,000 steps adds the
roundings up: each ends somewhere else, none of them wrong. In float64 the same sums
are a billion times nearer. Does not know what is compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from models.schemas import Schema
from models.streaming import stream_network

WIDE = "float64"


def widen_network(network: keras.Model) -> keras.Model:
    """Copy a network, its weights and inputs into float64.

    Raises:
        ValueError: Keras cannot copy one of its layers.
        TypeError: The same.
    """
    config = widen_config(keras.saving.serialize_keras_object(network))
    wide: keras.Model = keras.saving.deserialize_keras_object(config)
    weights = network.get_weights()
    wide.set_weights([w.astype(widen_dtype(w.dtype.name)) for w in weights])
    return wide


def widen_config(config: Any) -> Any:
    """Replace every type of float in the description of a network."""
    if isinstance(config, list):
        return [widen_config(part) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return WIDE
    return {
        key: widen_dtype(value) if key == "dtype" else widen_config(value)
        for key, value in config.items()
    }


def widen_dtype(dtype: Any) -> Any:
    """Return float64 for any float, and others as they are."""
    if isinstance(dtype, str):
        return WIDE if "float" in dtype else dtype
    return widen_config(dtype)


def truth_call(network: keras.Model, outputs: Schema, signature: str) -> Any:
    """Make the signature of a widened network a function of named arrays."""
    model = getattr(stream_network(network, outputs, dtype=WIDE), signature)

    @tf.function(autograph=False)
    def run(arrays: Mapping[str, Any]) -> Any:
        return model(arrays, training=False)

    def call(**arrays: Any) -> Mapping[str, Any]:
        return {name: tensor.numpy() for name, tensor in run(arrays).items()}

    return call
