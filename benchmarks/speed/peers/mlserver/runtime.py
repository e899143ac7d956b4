"""MLServer around the network, a process per core."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.model import EVENTS
from benchmarks.speed.peers.window import Network


class Lstm(MLModel):
    """MLServer's custom runtime."""

    async def load(self) -> bool:
        """Load the network."""
        self.network = Network()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer every window, of shape (batch, timesteps)."""
        events = NumpyCodec.decode_input(payload.inputs[0]).tolist()
        windows = [[EVENTS[k] for k in window] for window in events]
        output = np.array(self.network.predict(windows), np.float32)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("probabilities", output)],
        )
