"""ONNX Runtime behind Flask: windows in, probabilities out, nothing remembered."""

from __future__ import annotations

import os
import site
from typing import Any

from flask import Flask, request

# The service's own environment, with ONNX Runtime laid behind it.
site.addsitedir(os.environ["PACKAGES"])

from benchmarks.speed.peers.window import Network

app = Flask(__name__, static_folder=None)
network = Network()


@app.get("/")
def ready() -> Any:
    """Say that it is ready."""
    return {}


@app.post("/")
def predict() -> Any:
    """Answer every window."""
    windows = request.get_json(force=True)["instances"]
    return {"predictions": network.predict(windows)}
