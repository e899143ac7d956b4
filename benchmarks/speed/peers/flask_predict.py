"""Peer of the simplest kind: Flask around `model.predict`, windows sent again."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from flask import Flask, request

from benchmarks.model import EVENTS, KERAS_FILE

INDEX = {name: k for k, name in enumerate(EVENTS)}
app = Flask(__name__, static_folder=None)
network = keras.models.load_model(KERAS_FILE)


@app.get("/")
def ready() -> Any:
    """Say that it is ready."""
    return {}


@app.post("/")
def predict() -> Any:
    """Answer every window by the probabilities after its last event."""
    windows = request.get_json(force=True)["instances"]
    events = np.array([[INDEX[name] for name in window] for window in windows], "int32")
    return {"predictions": network.predict(events, verbose=0)[:, -1].tolist()}
