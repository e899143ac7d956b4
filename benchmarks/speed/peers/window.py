"""The network of the peers that remember nothing: ONNX Runtime over whole windows.

Runs in each peer's own environment.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import onnxruntime

from benchmarks.model import EVENTS

INDEX = {name: k for k, name in enumerate(EVENTS)}


class Network:
    """Answers windows of events."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        # Each of the workers is to have one core.
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["ONNX"], options)

    def predict(self, windows: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the probabilities after each window's last event."""
        events = [[INDEX[name] for name in window] for window in windows]
        feed = {"events": np.array(events, np.int64)}
        return self.session.run(None, feed)[0].tolist()
