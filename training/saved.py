"""A published version as a function of sequences, by its SavedModel."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from models.schemas import output_names
from training.baselines import TIMESTEPS_PER_CALL
from training.compare import Side
from training.data.dataset import Array
from training.errors import ConfigError
from training.evaluate.metric import Predict
from training.versions import Version


def open_side(version: Version) -> Side:
    """Load a version, to be compared.

    Raises:
        ConfigError: Its SavedModel cannot be loaded.
    """
    try:
        saved = tf.saved_model.load(str(version.path))
        advance = saved.signatures["advance"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{version.path} cannot be loaded ({error}). Restore the version."
        ) from error
    manifest = version.manifest
    predict = predict_with_advance(saved, advance, manifest)
    return Side(version.title, manifest["input"], manifest["output"], predict)


def predict_with_advance(saved: Any, advance: Any, manifest: Any) -> Predict:
    """Make a signature a function of whole sequences that have not begun."""
    names = output_names(manifest["output"])
    dtype = manifest.get("memory_dtype", "float32")

    def call(sequences: Array) -> dict[str, Array]:
        batch, timesteps = sequences.shape[:2]
        memory = {
            tensor: tf.zeros((batch, *size), dtype)
            for tensor, size in manifest["memory"].items()
        }
        length = tf.fill([batch], timesteps)
        answers = advance(sequence=tf.constant(sequences), length=length, **memory)
        return {name: answers[name].numpy() for name in names}

    def predict(sequences: Array) -> Array:
        size = max(1, TIMESTEPS_PER_CALL // sequences.shape[1])
        starts = range(0, len(sequences), size)
        parts = [call(sequences[k : k + size]) for k in starts]
        joined = {n: np.concatenate([p[n] for p in parts]) for n in names}
        answer: Any = joined if len(names) > 1 else joined[names[0]]
        typed: Array = answer
        return typed

    predict.saved = saved  # type: ignore[attr-defined]  # its variables live as long
    return predict
