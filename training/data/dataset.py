"""What every data source hands to training: schemas, examples, held-out data.

Does not know where the data came from, nor anything of TensorFlow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Examples(NamedTuple):
    """Sequences to learn from, padded at their ends to one length.

    Args:
        sequences: int32 of shape (batch, timesteps), or float32 of shape
            (batch, timesteps, columns).
        targets: int32 labels of shape (batch, timesteps), or float32 values of shape
            (batch, timesteps, horizon).
        weights: float32 of shape (batch, timesteps); 0 where there is nothing to learn,
            as in padding.
    """

    sequences: Array
    targets: Array
    weights: Array


@dataclass(frozen=True)
class Dataset:
    """One source's data, ready to train on and to evaluate with.

    Args:
        inputs: Input schema, as in `models.features`.
        outputs: Output schema, as in `models.networks`.
        draw_epoch: Returns an epoch's examples; every choice comes from the generator.
        held_out: What the source's evaluation needs; never trained on.
        real: A few real encoded sequences, to check the export with.
        facts: What the manifest says of the data: fingerprint, rows, ...
        baselines: Networks trained on the same examples for comparison: `memoryless`
            (the same network, shown each event alone), `simple rnn` (the same size).
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    draw_epoch: Callable[[np.random.Generator], Examples]
    held_out: Any
    real: Array
    facts: Mapping[str, Any]
    baselines: tuple[str, ...] = field(default=())


def fingerprint_arrays(*arrays: Array) -> str:
    """Hash arrays with their types and shapes, as hexadecimal SHA-256."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
