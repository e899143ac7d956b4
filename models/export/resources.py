"""Resources of a network besides variables, for a module that is saved."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def find_resources(network: keras.Model) -> list[Any]:
    """List what layers keep besides variables: lookup tables."""
    kind = tf.saved_model.experimental.TrackableResource
    layers = network._flatten_layers()
    return [x for layer in layers for x in vars(layer).values() if isinstance(x, kind)]
