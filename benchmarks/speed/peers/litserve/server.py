"""LitServe around the network, a worker per core: `python -m ...server PORT`."""

import sys

import litserve

from benchmarks.speed.peers.window import Network

NUM_WORKERS = 2


class Lstm(litserve.LitAPI):
    """LitServe's four verbs; it takes annotations for schemas, so there are none."""

    def setup(self, device):
        """Load the network."""
        self.network = Network()

    def decode_request(self, request):
        """Take the windows out of the body."""
        return request["instances"]

    def predict(self, windows):
        """Answer every window."""
        return self.network.predict(windows)

    def encode_response(self, output):
        """Put the answers into a body."""
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Lstm(), accelerator="cpu", workers_per_device=NUM_WORKERS
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        generate_client_file=False,
    )
