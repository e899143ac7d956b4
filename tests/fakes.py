"""Stand-ins for what a test must control; real parts serve for everything else."""

from __future__ import annotations

import numpy as np

from service.registry.artifact import Manifest
from service.registry.backends.base import Plan
from service.registry.catalog import Model
from service.registry.encoding.events import build_encoder


class FakeClock:
    """A clock that stands still until a test advances it.

    Args:
        now: The first reading, in seconds since the epoch.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class CountingRuntime:
    """A network one can do by hand: its memory counts the events of each kind.

    Outputs are the shares of the kinds so far; event `poison` (the last of the
    vocabulary) makes them not a number. Its gates are constants.
    """

    name = "counting"
    VOCABULARY = ("red", "green", "poison")

    def __init__(self) -> None:
        self.calls = 0
        self.before_return = lambda: None

    def plan(self, signature, remaining):
        return Plan(len(remaining), min(remaining))

    def run(self, signature, tensors):
        self.calls += 1
        sequence, counts = tensors["sequence"], tensors["short_term_0"].copy()
        kinds = len(self.VOCABULARY)
        shares = np.zeros((*sequence.shape, kinds), "float32")
        for row, length in enumerate(tensors["length"]):
            for t in range(length):
                counts[row, sequence[row, t]] += 1
                shares[row, t] = counts[row] / counts[row].sum()
                if sequence[row, t] == kinds - 1:
                    shares[row, t] = np.nan
        self.before_return()
        results = {"probabilities": shares, "short_term_0": counts}
        if signature == "explain":
            gates = np.ones((*sequence.shape, kinds), "float32")
            results |= {"learn_0": gates, "trace_short_term_0": gates}
            results["alone_probabilities"] = gates / kinds
        return results


class TickingRuntime(CountingRuntime):
    """The counting network as if compiled: one event of many rows, or a chunk of one.

    Args:
        largest: Most rows of a call.
        chunk: Most events of a row that is alone.
    """

    def __init__(self, largest=64, chunk=16):
        super().__init__()
        self.largest, self.chunk = largest, chunk
        self.lengths = []

    def plan(self, signature, remaining):
        if len(remaining) == 1:
            return Plan(1, min(remaining[0], self.chunk))
        return Plan(min(len(remaining), self.largest), 1)

    def run(self, signature, tensors):
        self.lengths.append(tensors["length"].tolist())
        assert tensors["sequence"].shape[1] == max(self.lengths[-1])
        return super().run(signature, tensors)


def counting_model(version=1, network="ab" * 32, max_events=50, runtime=None):
    """Build a served model around the counting network."""
    vocabulary = list(CountingRuntime.VOCABULARY)
    manifest = Manifest(
        format=1,
        name="counting",
        version=version,
        task="label",
        cell="rnn",
        units=[3],
        input={"kind": "event", "vocabulary": vocabulary},
        output={"kind": "label", "name": "probabilities", "labels": vocabulary},
        memory={"short_term_0": [3]},
        network=network,
        files={},
        threshold=0.9,
    )
    encoder = build_encoder(manifest.input, max_events=max_events)
    return Model(manifest, runtime or CountingRuntime(), encoder)
