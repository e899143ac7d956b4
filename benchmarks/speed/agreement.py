"""Check that a contender computes the network, made before its time is taken.

The network once more, in NumPy, from the weights that all were given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from benchmarks.model import WEIGHTS_FILE
from benchmarks.speed.contenders import Contender
from benchmarks.speed.servers import Server, StartError

# float32 in another order of additions differs by less; another network by far more.
TOLERANCE = 1e-4
# A session that no load uses.
SESSION = 10**9


def check_agreement(contender: Contender, server: Server) -> None:
    """Compare a contender's first answer with the network's.

    Raises:
        StartError: It answers something else.
    """
    if contender.read is None:
        return
    answer = server.post(contender.path, contender.visits(SESSION)[0])
    found = np.asarray(contender.read(json.loads(answer)))
    expected = probabilities_after(tuple(contender.first_events))
    if found.shape != expected.shape or abs(found - expected).max() > TOLERANCE:
        raise StartError(f"it answers {found}; the network's answer is {expected}")


@cache
def probabilities_after(events: Sequence[int]) -> Any:
    """Run the LSTM over events and return float32 of shape (labels,).

    i, f, g, o are packed in Keras's order.
    """
    weights = np.load(WEIGHTS_FILE)
    kernel, recurrent, bias, head, head_bias = (weights[name] for name in weights.files)
    h = c = np.zeros(len(recurrent), np.float32)
    for event in events:
        i, f, g, o = np.split(kernel[event] + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    odds = np.exp(h @ head + head_bias)
    return odds / odds.sum()


def sigmoid(x: Any) -> Any:
    """Squash to 0..1."""
    return 1 / (1 + np.exp(-x))
