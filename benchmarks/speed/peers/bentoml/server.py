"""BentoML around the network, a worker per core."""

from __future__ import annotations

import bentoml

from benchmarks.speed.peers.window import Network


@bentoml.service(workers=2, traffic={"timeout": 60})
class Lstm:
    """BentoML's service."""

    def __init__(self) -> None:
        self.network = Network()

    @bentoml.api
    def predict(self, instances: list[list[str]]) -> dict[str, list[list[float]]]:
        """Answer every window."""
        return {"predictions": self.network.predict(instances)}
