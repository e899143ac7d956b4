"""Somebody's Keras files, written as their authors would, and the command on them."""

from __future__ import annotations

import zipfile

import keras
import numpy as np
from keras import layers

from training.__main__ import main

EVENTS, FEATURES = 5, 3
NAMES = ["open", "assign", "wait", "solve", "close"]


def sequential(*stack, shape=(None, FEATURES), dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stack])


def make_next_event():
    return sequential(
        layers.Embedding(EVENTS, 4),
        layers.LSTM(8, return_sequences=True),
        layers.Dense(EVENTS, activation="softmax"),
        shape=(None,),
    )


def randomise(model):
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def save(folder, model, name="model.keras"):
    """Write a model as its author would, in a process that then ends."""
    path = folder / name
    randomise(model).save(path)
    keras.backend.clear_session()  # names are counted from 1, as in a new process
    return path


def change_archive(path, changes):
    """Replace members of an archive, compressed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members, **changes}.items():
            archive.writestr(name, content)
    return path


def export(path, folder, *options):
    """Run the command; its exit status."""
    artifacts = ["--artifacts", str(folder / "artifacts")]
    return main(["export", str(path), "--name", "mine", *artifacts, *options])
